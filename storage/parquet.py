"""Parquet files of the lake, wherever they stand: footers, readers, writers, and many files as one data set."""

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from storage import files
from storage.errors import errors_of, store_errors
from storage.location import Address, Remote, location


def footer(file: Address) -> Any:
    """The metadata that a file ends with."""
    place = location(file)
    if isinstance(place, Remote):
        system, path = files.arrow(place)
        with store_errors(place):
            return pq.read_metadata(path, filesystem=system)
    return pq.read_metadata(place)


def opened(file: Address) -> pq.ParquetFile:
    """A file for reading, as a context."""
    place = location(file)
    if isinstance(place, Remote):
        system, path = files.arrow(place)
        with store_errors(place):
            return pq.ParquetFile(path, filesystem=system)
    return pq.ParquetFile(place)


class Writer:
    """One file that is being written. In a store it is there, whole, once it is closed.

    Attributes:
        footer: its metadata, once it is closed.
    """

    def __init__(self, file: Address, schema: pa.Schema, **options: Any) -> None:
        """Args: options: of Arrow's ParquetWriter."""
        files.make_folder(location(file).parent)
        self._file = file
        system, path = files.arrow(file)
        with errors_of(file):
            self._stream = system.open_output_stream(path)
        self._footer: list[Any] = []
        self._writer = pq.ParquetWriter(self._stream, schema, metadata_collector=self._footer, **options)

    @property
    def size(self) -> int:
        """Bytes written so far; after `close`, of the file."""
        return self._size if self._stream.closed else int(self._stream.tell())

    def write(self, rows: pa.Table) -> None:
        """Add rows, as one row group or more."""
        with errors_of(self._file):
            self._writer.write_table(rows)

    def close(self) -> None:
        """Write the footer, and end the file."""
        with errors_of(self._file):
            self._writer.close()
            self.footer = self._footer[0]
            self._size = int(self._stream.tell())
            self._stream.close()


def data_set(
    folder: Address, names: Collection[str], schema: pa.Schema, partitioning: ds.Partitioning | None = None
) -> ds.Dataset:
    """Some files below a folder as one data set; `__filename` of a row is `root_of(folder)/<name>`."""
    root = root_of(folder)
    paths = [f"{root}/{name}" for name in names]
    place = location(folder)
    system = files.arrow(place)[0] if isinstance(place, Remote) else None
    return ds.dataset(paths, schema=schema, format="parquet", filesystem=system, partitioning=partitioning)


def root_of(folder: Address) -> str:
    """A folder as `__filename` has it."""
    return files.arrow(folder)[1]
