"""Tables that are too many for memory, kept in a file and read as one."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa


@contextmanager
def table_in_file(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of one schema, at least one, as a single table that stays on disk: its pages are read as they are looked
    at, and can be given back. The file ends with the context."""
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
