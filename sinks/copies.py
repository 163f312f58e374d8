"""Copy the rows of some Parquet files, unchanged and batch by batch, into few larger files."""

import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 256
"""Rows read at a time; a row may have a megabyte."""
ROW_GROUP_BYTES = 32 * 1024**2
"""Bytes in memory at which a row group is written."""


def copied(sources: Iterable[Path], folder: Path) -> list[Path]:
    """Write the rows of some files into few files: one for each set of columns, because a contract may have gained
    columns."""
    kinds: list[_Copy] = []
    with ExitStack() as open_files:
        for source in sources:
            with pq.ParquetFile(source) as file:
                schema = pa.schema([field.with_nullable(True) for field in file.schema_arrow])
                copy = next((each for each in kinds if each.schema.equals(schema)), None)
                if copy is None:
                    copy = _Copy(folder / f"part-{uuid4()}.zstd.parquet", schema)
                    open_files.callback(copy.close)
                    kinds.append(copy)
                for batch in file.iter_batches(ROWS_AT_ONCE, use_threads=False):
                    copy.add(batch)
    for copy in kinds:
        _flush(copy.path)
    _flush(folder)
    return [copy.path for copy in kinds]


class _Copy:
    """One file that is being written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", store_schema=False, write_batch_size=64)
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch.cast(self.schema))
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._write()

    def close(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self.schema))
        self._waiting, self._bytes = [], 0


def _flush(path: Path) -> None:
    """Flush to the disk: the source files are removed later, and a power cut must not lose the copy."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
