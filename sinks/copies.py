"""Copy the rows of some Parquet files, unchanged and batch by batch, into few larger files."""

from collections.abc import Iterable
from contextlib import ExitStack
from uuid import uuid4

import pyarrow as pa

from storage import files, parquet
from storage.location import Location

ROWS_AT_ONCE = 256
"""Rows read at a time; a row may have a megabyte."""
ROW_GROUP_BYTES = 32 * 1024**2
"""Bytes in memory at which a row group is written."""


def copied(sources: Iterable[Location], folder: Location) -> list[tuple[str, int]]:
    """Write the rows of some files into few files: one for each set of columns, because a contract may have gained
    columns.

    Returns: name, below the folder, and bytes of each.
    """
    kinds: list[_Copy] = []
    with ExitStack() as open_files:
        for source in sources:
            with parquet.opened(source) as file:
                schema = pa.schema([field.with_nullable(True) for field in file.schema_arrow])
                copy = next((each for each in kinds if each.schema.equals(schema)), None)
                if copy is None:
                    copy = _Copy(folder / f"part-{uuid4()}.zstd.parquet", schema)
                    open_files.callback(copy.close)
                    kinds.append(copy)
                for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
                    copy.add(batch)
    for copy in kinds:
        files.flush(copy.path)
    files.flush(folder)
    return [(copy.path.name, copy.size) for copy in kinds]


class _Copy:
    """One file that is being written."""

    def __init__(self, path: Location, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._writer = parquet.Writer(path, schema, compression="zstd", store_schema=False, write_batch_size=64)
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch.cast(self.schema))
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write()

    @property
    def size(self) -> int:
        return self._writer.size

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write(pa.Table.from_batches(self._waiting, self.schema))
        self._waiting, self._bytes = [], 0
