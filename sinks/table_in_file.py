"""Combine tables that are too large for memory into one table in a temporary file."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa


@contextmanager
def table_in_file(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Combine at least one table of the same schema into a single memory-mapped table. Its pages are read when they are
    used, and the operating system may drop them again. The file is deleted when the context ends."""
    with tempfile.TemporaryDirectory(prefix="correnteza-") as folder:
        file = Path(folder) / "rows.arrow"
        _write(parts, file)
        with pa.memory_map(str(file)) as source:
            yield pa.ipc.open_file(source).read_all()


def _write(parts: Iterable[pa.Table], file: Path) -> None:
    with ExitStack() as stack:
        writer: pa.ipc.RecordBatchFileWriter | None = None
        for part in parts:
            writer = writer or stack.enter_context(pa.ipc.new_file(file, part.schema))
            writer.write_table(part)
