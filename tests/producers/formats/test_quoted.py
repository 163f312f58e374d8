"""Rows with line ends inside quotes (RFC 4180), and stray quotes, after which the next rows must still be read."""

import csv
import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.formats import csv_rows
from producers.formats.lines import MAX_LINE, LineReader
from producers.formats.quoted import MOST_LINES, Quoting


def chunks(data: bytes, *, fields: int = 3, block: int = 1 << 20, size: int = 100, first_row: int = 0, quoting=True):
    blocks = [data[start : start + block] for start in range(0, len(data), block)]
    rule = Quoting(";", fields) if quoting else None
    return list(LineReader(blocks).chunks(size, first_row=first_row, quoting=rule))


def lines(data: bytes, **how) -> list[bytes]:
    return [line for chunk in chunks(data, **how) for line in chunk.lines]


def table(data: bytes, *, fields: int = 3) -> list[tuple[str, ...]]:
    """The rows as text; fails on a bad one."""
    found: list[tuple[str, ...]] = []
    for chunk in chunks(data, fields=fields):
        rows = csv_rows.read(chunk, fields=fields, delimiter=";", encoding="utf-8")
        assert rows.bad == {}
        found += zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return found


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_quoted_line_end_is_part_of_its_field_and_written_as_a_line_feed(end):
    data = end.join([b'a;"RUA DO SOL, 10', b'FUNDOS";c', b"1;2;3", b""])
    assert table(data) == [("a", "RUA DO SOL, 10\nFUNDOS", "c"), ("1", "2", "3")]


def test_without_the_rule_the_row_is_two_bad_lines():
    """The control: what happens without the rule."""
    (chunk,) = chunks(b'a;"b\nc";d\n1;2;3\n', quoting=False)
    assert len(csv_rows.read(chunk, fields=3, delimiter=";", encoding="utf-8").bad) == 2


# A line with two delimiters inside a field would be taken for a row of its own: the price of stopping at stray quotes.
CELL = st.text('ab";\n ', max_size=6).filter(lambda text: all(line.count(";") < 2 for line in text.split("\n")))


@given(
    st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6), st.integers(1, 40), st.sampled_from(["\n", "\r\n"])
)
@settings(deadline=None)
def test_what_pythons_csv_module_writes_is_read_row_by_row(rows, block, end):
    """Any texts, with quotes, delimiters and line ends in them, cut into blocks anywhere."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=";", lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    data = buffer.getvalue().encode()
    assert table(data) == rows
    assert lines(data, block=block) == lines(data)


@pytest.mark.parametrize(
    "data",
    [
        b'0;y;z\n"a;b\n1;y;z\n2;y;z\n',  # a quote that nobody closes
        b'0;y;z\nx;"a;b\n1;"y";z\n2;y;z\n',  # one that the next row's quote would close
        b'0;y;z\n5" pipe;a;b\n1;y;z\n2;y;z\n',  # a quote inside a field means nothing
        b'0;y;z\n"a\nb\n1;y;z\n2;y;z\n',
        b'"0";"y";"z"\n"a";"b\n"1";"y";"z"\n',
    ],
)
def test_a_stray_quote_loses_no_row(data):
    assert lines(data) == data.removesuffix(b"\n").split(b"\n")


def test_a_row_of_more_lines_or_bytes_than_any_real_one_is_not_made():
    long = b'a;"' + b"\n" * MOST_LINES + b'";c'
    assert lines(long + b"\n1;2;3\n") == [b'a;"', b'";c', b"1;2;3"]
    assert len(lines(long.replace(b"\n", b"", 1))) == 1, "the control"
    wide = b'a;"' + b"x" * MAX_LINE + b'\n";c'
    assert [len(line) for line in lines(wide)] == [MAX_LINE + 1, 3]


@given(st.lists(st.text('a";\n', max_size=5), max_size=25), st.integers(1, 9), st.integers(1, 4), st.data())
@settings(deadline=None)
def test_any_quotes_lose_no_line_and_are_cut_alike_however_they_come(cells, block, size, data):
    """Every line is in a row or blank; blocks change nothing; a part resumed at any chunk goes on alike."""
    content = ";".join(cells).encode()
    whole = chunks(content, size=size)
    kept = b"\n".join(line for chunk in whole for line in chunk.lines)
    assert [line for line in kept.split(b"\n") if line] == [line for line in content.split(b"\n") if line]
    assert chunks(content, size=size, block=block) == whole
    if whole:
        start = data.draw(st.integers(0, len(whole) - 1))
        assert chunks(content, size=size, block=block, first_row=whole[start].first_row) == whole[start:]


@pytest.mark.parametrize("line", [b'"a;b\n', b';"\n', b'"' * 1001 + b"\n", b'a"";"\n', b'";"' * 300 + b"\n"])
def test_hostile_quotes_cost_one_pass(line):
    """Neither the patterns nor the look ahead may grow with the square of what they are given."""
    started = time.process_time()
    lines(line * (200_000 // len(line)), fields=40)
    assert time.process_time() - started < 5
