"""Lines, and the columns cut out of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.formats import csv_rows, lines
from producers.formats.lines import MAX_LINE, LineChunk, LineReader
from producers.model import RejectReason


def rows(data: bytes, *, block: int = 1 << 20, size: int = 3, first_row: int = 0) -> list[bytes]:
    blocks = [data[start : start + block] for start in range(0, len(data), block)]
    found, position = [], first_row
    for chunk in LineReader(blocks).chunks(size, first_row=first_row):
        assert chunk.first_row == position
        found += chunk.lines
        position += len(chunk.lines)
    return found


@given(
    st.lists(st.binary(max_size=6).filter(lambda line: line.strip() and b"\n" not in line and line[-1:] != b"\r")),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n \r\n"]),
    st.integers(1, 9),
    st.integers(1, 4),
)
def test_lines_come_out_as_they_went_in_whatever_the_line_end_and_the_blocks(lines, end, block, size):
    assert rows(end.join(lines), block=block, size=size) == lines


@given(st.integers(0, 12))
def test_reading_from_a_row_on_skips_just_the_rows_before(first_row):
    data = b"\n".join(b"%d" % number for number in range(10))
    assert rows(data, block=4, first_row=first_row) == [b"%d" % number for number in range(10)][first_row:]


def test_a_byte_order_mark_is_no_part_of_the_header():
    reader = LineReader([b"\xef\xbb", b"\xbfAno;M", b"\nrow\n"])
    assert reader.header(1) == [b"Ano;M"]
    assert next(reader.chunks(5)).lines == [b"row"]


def test_a_line_without_end_takes_no_memory_and_becomes_one_reject():
    blocks = [b"a;b\n", *[b"x" * 65_536] * 64, b";y\nc;d\n"]
    (chunk,) = LineReader(blocks).chunks(10)
    assert [len(line) for line in chunk.lines] == [3, MAX_LINE + 1, 3]
    read = csv_rows.read(chunk, fields=2, delimiter=";", encoding="utf-8")
    assert {position: problem.reason for position, problem in read.bad.items()} == {1: RejectReason.ROW_TOO_LONG}
    assert read.columns[0].to_pylist() == ["a", "c"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'"a;b', RejectReason.MALFORMED_ROW),
        (b'x";"a', RejectReason.MALFORMED_ROW),
        (b"a\rb;c;d", RejectReason.MALFORMED_ROW),
        (b"a;b;c;d", RejectReason.MALFORMED_ROW),
        (b"a", RejectReason.MALFORMED_ROW),
        (b"\xff;b;c", RejectReason.BAD_ENCODING),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_bad_line_does_not_touch_its_neighbours(bad, reason, place):
    """An open quote would take the next lines into its field; a lone CR would be a line end to the CSV reader."""
    lines = [b"%d;y;z" % number for number in range(4)]
    lines.insert(place, bad)
    read = csv_rows.read(LineChunk(0, lines), fields=3, delimiter=";", encoding="utf-8")
    assert {position: problem.reason for position, problem in read.bad.items()} == {place: reason}
    assert read.columns[0].to_pylist() == ["0", "1", "2", "3"]
    assert read.positions.to_pylist() == [number for number in range(5) if number != place]


def test_quoted_fields_may_hold_the_delimiter_and_doubled_quotes():
    read = csv_rows.read(LineChunk(0, [b'"a;b";"c""d"', b"e;f"]), fields=2, delimiter=";", encoding="utf-8")
    assert [column.to_pylist() for column in read.columns] == [["a;b", "e"], ['c"d', "f"]]


def test_a_chunk_of_long_lines_ends_at_its_bytes_and_a_resumed_one_is_cut_alike(monkeypatch):
    monkeypatch.setattr(lines, "CHUNK_BYTES", 100)
    data = b"\n".join(b"x" * (10 + number % 3 * 40) for number in range(20))
    whole = [(chunk.first_row, chunk.lines) for chunk in LineReader([data]).chunks(7)]
    assert max(sum(map(len, found)) for _, found in whole) < 100 + 90
    assert [line for _, found in whole for line in found] == data.split(b"\n")
    for number, (first_row, _) in enumerate(whole):
        rest = LineReader([data[:50], data[50:]]).chunks(7, first_row=first_row)
        assert [(chunk.first_row, chunk.lines) for chunk in rest] == whole[number:]
