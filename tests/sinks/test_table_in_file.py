"""Tables that are kept in a file."""

import tempfile
from pathlib import Path

import pyarrow as pa

from sinks.table_in_file import table_in_file


def test_parts_are_read_as_one_table_that_memory_does_not_hold_and_the_file_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parts = (pa.table({"n": range(begin, begin + 100_000)}) for begin in range(0, 500_000, 100_000))
    before = pa.total_allocated_bytes()
    with table_in_file(parts) as rows:
        assert rows["n"].to_pylist() == list(range(500_000))
        assert pa.total_allocated_bytes() - before < rows.nbytes / 10
        assert [file.name for file in Path(tmp_path).rglob("*.arrow")] == ["rows.arrow"]
    assert list(tmp_path.iterdir()) == []


def test_the_file_goes_when_a_part_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def parts():
        yield pa.table({"n": [1]})
        raise OSError("no space left")

    try:
        with table_in_file(parts()):
            raise AssertionError("it was read")
    except OSError:
        pass
    assert list(tmp_path.iterdir()) == []
