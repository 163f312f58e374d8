"""Code for all of ANATEL's files of accesses: one row per month (long), or one column per month (wide, `_Colunas`).

The header determines the layout, and each column is found by its name, in any order. In a wide row each non-empty month
cell is a record; an empty one is "no record", not zero. A record's row number is then source row × months + month, so
that it stays unique.

Copies that went through pandas are read too: `NaN` is a blank there, `33818.0` a count, `3547809.0` a code.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers.families.anatel_csv import Read
from producers.formats import csv_header, csv_rows, values
from producers.formats.columns import Typing, batch, empty_batch, map_distinct, reject, typed
from producers.formats.lines import LineReader
from producers.formats.quoted import Quoting
from producers.model import CHUNK_ROWS, BadValueError, Parsed, Part, Publication, Reject, RejectReason
from producers.scope import day_of
from schemas.arrow import arrow_schema
from schemas.contracts import load

Found = tuple[dict[str, pa.RecordBatch], list[Reject]]

_MONTH_COLUMN = re.compile(r"((?:19|2[01])[0-9]{2})-(0[1-9]|1[0-2])")
# How pandas writes an empty cell. It cannot be confused with a value: counts and codes are digits, none of ANATEL's
# closed vocabularies has it, and no company's name is written like that. ANATEL itself leaves the cell empty.
_PANDAS_BLANK = "NaN"
_CLOCK = ("ano", "mes", "acessos")


@dataclass(frozen=True)
class Header:
    """One file's first line.

    Attributes:
        names: of all columns, folded to plain lower-case letters.
        fields: contract field → number of its column.
        months: number of a column → the month whose accesses it holds; empty in a long file.
        clock: numbers of the columns Ano, Mês and Acessos, None where absent.
        notes: what is odd but harmless.
    """

    delimiter: str
    encoding: str
    names: tuple[str, ...]
    fields: Mapping[str, int]
    months: tuple[tuple[int, date], ...]
    clock: tuple[int | None, int | None, int | None]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class AccessFiles:
    """A kind of access files, as a source declares it.

    Attributes:
        dataset: its contract's key is the month, then one field per column; what is left is `accesses`.
        columns: name of a column, folded → field.
        ignored: names of columns, folded, that repeat others.
        readers: functions for the fields that are not plain text.
        required: header → the fields that it must have.
        totals: dataset of a member with only Ano, Mês and Acessos; None if such a member is not read.
    """

    dataset: str
    columns: Mapping[str, str]
    ignored: frozenset[str]
    readers: Mapping[str, Read]
    required: Callable[[Header], Collection[str]]
    totals: str | None = None

    def parse(
        self, blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS
    ) -> Iterator[Parsed]:
        """Parse a long, wide or total member; the header determines which it is.

        Raises: InvalidContent when the header lacks a required column.
        """
        lines = LineReader(blocks)
        header = _header(lines.header(1), self)
        cells = max(1, len(header.months))
        is_total = not header.fields
        read = _total if is_total else _wide if header.months else _long
        empty = True
        quoting = Quoting(header.delimiter, len(header.names))
        for chunk in lines.chunks(max(1, chunk_rows // cells), first_row=first_row, quoting=quoting):
            rows = csv_rows.read(chunk, fields=len(header.names), delimiter=header.delimiter, encoding=header.encoding)
            records, rejects = read(self, header, Typing(rows), rows.columns)
            yield Parsed(chunk.first_row, chunk.first_row + len(chunk.lines), records, tuple(rejects), header.notes)
            empty = False
        if empty:
            dataset = self.totals if is_total and self.totals else self.dataset
            nothing = {dataset: empty_batch(_names(dataset), arrow_schema(load(dataset)))}
            yield Parsed(first_row, first_row, nothing, (), header.notes)


def _header(lines: list[bytes], files: AccessFiles) -> Header:
    line = csv_header.header_line(lines)
    fields, months, unknown = {}, [], []
    for number, name in enumerate(line.folded):
        if match := _MONTH_COLUMN.fullmatch(name):
            months.append((number, date(int(match[1]), int(match[2]), 1)))
        elif name in files.columns:
            fields[files.columns[name]] = number
        elif name not in files.ignored and name not in _CLOCK:
            unknown.append(line.names[number])
    year, month, accesses = (line.folded.index(name) if name in line.folded else None for name in _CLOCK)
    notes = csv_header.unknown_columns(unknown)
    header = Header(line.delimiter, line.encoding, line.folded, fields, tuple(months), (year, month, accesses), notes)
    return _checked(header, files, line, unknown)


def _checked(header: Header, files: AccessFiles, line: csv_header.HeaderLine, unknown: Sequence[str]) -> Header:
    """The header, with notes on optional columns that are absent. Raises: InvalidContent."""
    if not header.months:
        try:
            csv_header.refuse_lacking(_CLOCK, line, unknown)
        except InvalidContent as error:
            raise InvalidContent(f"no month columns, and {error}") from None
    elif None not in header.clock:
        raise InvalidContent("the header has both Ano, Mês, Acessos and month columns")
    # A file of totals has no further column, because such a column could divide a month's total.
    if files.totals and set(header.names) == set(_CLOCK):
        return header
    spelled: dict[str, list[str]] = {}
    for name, field in files.columns.items():
        spelled.setdefault(field, []).append(name)
    required = set(files.required(header))
    csv_header.refuse_lacking(["|".join(spelled[field]) for field in sorted(required)], line, unknown)
    absent = csv_header.absent_columns(spelled.keys() - header.fields.keys())
    return replace(header, notes=header.notes + absent)


def _long(files: AccessFiles, header: Header, typing: Typing, texts: Sequence[pa.Array]) -> Found:
    columns = {"reference_month_on": _month_of(header, typing), **_descriptors(files, header, typing)}
    return _row_by_row(files.dataset, columns, header, typing)


def _total(files: AccessFiles, header: Header, typing: Typing, texts: Sequence[pa.Array]) -> Found:
    assert files.totals is not None
    return _row_by_row(files.totals, {"reference_month_on": _month_of(header, typing)}, header, typing)


def _row_by_row(dataset: str, columns: dict[str, pa.Array], header: Header, typing: Typing) -> Found:
    """Add the accesses of each row; drop the rows that have a problem."""
    accesses = header.clock[2]
    assert accesses is not None
    columns |= {"accesses": typing.column(accesses, _COUNT, pa.int64()), "row_number": typing.row_numbers}
    if typing.problems:
        good = typing.good()
        columns = {name: column.take(good) for name, column in columns.items()}
    return {dataset: _batch(dataset, columns)}, typing.rejects(dataset)


def _wide(files: AccessFiles, header: Header, typing: Typing, texts: Sequence[pa.Array]) -> Found:
    """Unpivot row by row: cell (row, month) gets the number row × months + month."""
    descriptors = _descriptors(files, header, typing)
    count, width = len(typing), len(header.months)
    # The month columns are concatenated and read by rows: element i of a row-wise order is at (i mod width) × count + i
    # div width.
    order = pa.arange(0, count * width, 1)
    source, month = pc.divide(order, width), pc.subtract(order, pc.multiply(pc.divide(order, width), width))
    cells = pa.concat_arrays([texts[number] for number, _ in header.months])
    cells = pc.utf8_trim_whitespace(cells.take(pc.add(pc.multiply(month, count), source)))
    present = pc.invert(pc.is_in(cells, pa.array(["", _PANDAS_BLANK])))
    if typing.problems:
        bad_rows = pa.array(sorted(typing.problems), pa.int64())
        present = pc.and_(present, pc.invert(pc.is_in(source, bad_rows)))
    cells, source, month = cells.filter(present), source.filter(present), month.filter(present)
    accesses, problems = typed(cells, _COUNT, pa.int64())
    row_numbers = pc.add(pc.multiply(typing.row_numbers.take(source), width), month)
    rejects = typing.rejects(files.dataset, cells_per_row=width)
    if problems:
        rejects += [
            reject(files.dataset, row_numbers[cell].as_py(), problem, typing.line(source[cell].as_py()))
            for cell, problem in problems.items()
        ]
        rejects.sort(key=lambda found: found.row_number)
        indices = pa.arange(0, len(accesses), 1)
        good = indices.filter(pc.invert(pc.is_in(indices, pa.array(sorted(problems), pa.int64()))))
        accesses, source, month, row_numbers = (array.take(good) for array in (accesses, source, month, row_numbers))
    firsts = pa.array([first for _, first in header.months], pa.date32())
    columns = {name: column.take(source) for name, column in descriptors.items()}
    columns |= {"reference_month_on": firsts.take(month), "accesses": accesses, "row_number": row_numbers}
    return {files.dataset: _batch(files.dataset, columns)}, rejects


def _descriptors(files: AccessFiles, header: Header, typing: Typing) -> dict[str, pa.Array]:
    """All key fields except the month, one value per source row."""
    contract = load(files.dataset)
    schema = arrow_schema(contract)
    found = {}
    for name in contract.key[1:]:
        kind = schema.field(name).type
        number = header.fields.get(name)
        if number is None:
            found[name] = pa.nulls(len(typing), kind)
        else:
            found[name] = typing.column(number, _or_blank(files.readers.get(name, values.text)), kind)
    return found


def _or_blank(read: Read) -> Read:
    return lambda text: read("" if text.strip() == _PANDAS_BLANK else text)


def _month_of(header: Header, typing: Typing) -> pa.Array:
    """A long row's month: year and month columns as a first day."""
    year, month, _ = header.clock
    assert year is not None and month is not None  # noqa: PT018
    years = typing.column(year, _year, pa.int64())
    months = typing.column(month, _month, pa.int64())
    numbers = pc.add(pc.multiply(years, 12), pc.subtract(months, 1))
    return map_distinct(
        numbers, lambda number: None if number is None else date(number // 12, number % 12 + 1, 1), pa.date32()
    )


def _year(text: str) -> int:
    return _in_range(text, 1900, 2200, "year")


def _month(text: str) -> int:
    return _in_range(text, 1, 12, "month")


def _in_range(text: str, least: int, most: int, what: str) -> int:
    number = values.count(text)
    if number is None or not least <= number <= most:
        raise BadValueError(RejectReason.BAD_DATE, f"not a {what}: {text.strip()!r}")
    return number


_COUNT = _or_blank(values.required(values.count, "accesses"))


def _names(dataset: str) -> tuple[str, ...]:
    return (*load(dataset).key, "accesses", "row_number")


def _batch(dataset: str, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    names = _names(dataset)
    return batch(names, [columns[name] for name in names], arrow_schema(load(dataset)))


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The midnight after the month's last day, UTC."""

    def end(first: date) -> datetime:
        carry, month = divmod(first.month, 12)
        return datetime(first.year + carry, month + 1, 1, tzinfo=UTC)

    return map_distinct(records.column("reference_month_on"), end, pa.timestamp("us", tz="UTC"))


DAYS = day_of("reference_month_on")

PUBLICATION = Publication(_period_end, lambda part: timedelta(days=35))
"""April 2026 was published on 3 June, May on 2 July: a month and some days after the month's end."""
