"""ANATEL's fixed-broadband accesses: one zip, a member per period, each in a long and a wide (`_Colunas`) layout.

Both layouts hold the same records; one is read per period, the wide one where there is one (a tenth of the bytes). In a
wide row each non-empty month cell is a record; an empty one is "no record", not zero. A record's row number is then
source row × months + month, so that it stays unique.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers import csv_rows, values
from producers.calendars import Calendar
from producers.columns import Typing, batch, empty_batch, map_distinct, reject, typed
from producers.lines import LineReader
from producers.model import (
    CHUNK_ROWS,
    BadValueError,
    Parsed,
    Part,
    Publication,
    Reject,
    RejectReason,
    Resource,
    Source,
    Span,
)
from schemas.arrow import arrow_schema
from schemas.contracts import load

ACCESSES, TOTALS = "anatel_broadband_accesses", "anatel_broadband_totals"
TOTAL_KEY = "Total"

_MEMBER = re.compile(r"Acessos_Banda_Larga_Fixa_([0-9]{4}(?:[-_][0-9]{4})?)(_Colunas)?\.csv", re.IGNORECASE)
_TOTAL_MEMBER = re.compile(r"Acessos_Banda_Larga_Fixa_Total\.csv", re.IGNORECASE)
_MONTH_COLUMN = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")

_SCHEMA = arrow_schema(load(ACCESSES))
_TOTALS_SCHEMA = arrow_schema(load(TOTALS))
_KEY = load(ACCESSES).key
_NAMES = (*_KEY, "accesses", "row_number")
_TOTALS_NAMES = ("reference_month_on", "accesses", "row_number")

# Header, folded to plain lower-case letters → field. `porte` alone is an older spelling.
_FIELDS = {
    "cnpj": "cnpj",
    "empresa": "company",
    "grupo economico": "economic_group",
    "porte da prestadora": "provider_size",
    "porte": "provider_size",
    "uf": "uf",
    "codigo ibge municipio": "municipality_code",
    "velocidade": "speed_mbps",
    "faixa de velocidade": "speed_band",
    "tecnologia": "technology",
    "meio de acesso": "access_medium",
    "tipo de pessoa": "person_type",
    "tipo de produto": "product_type",
}
_SOMETIMES = {"speed_mbps", "person_type", "product_type"}  # absent in some years
_IGNORED = {"municipio"}  # a name never identifies a municipality
_READERS = {
    "cnpj": values.required(values.digits(14, pad=True), "cnpj"),
    "municipality_code": values.digits(7),
    "speed_mbps": values.decimal(18, 6),
}
_ACCESSES = values.required(values.count, "accesses")


@dataclass(frozen=True)
class _Layout:
    delimiter: str
    encoding: str
    width: int
    fields: Mapping[str, int]
    months: tuple[tuple[int, date], ...]
    year: int | None
    month: int | None
    accesses: int | None
    notes: tuple[str, ...]


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A long, wide or total member, told apart by its header.

    Raises: InvalidContent when the header lacks a required column.
    """
    reader = LineReader(blocks)
    layout = _layout(reader.header(1))
    cells = max(1, len(layout.months))
    read = _wide if layout.months else _long if layout.fields else _total
    empty = True
    for chunk in reader.chunks(max(1, chunk_rows // cells), first_row=first_row):
        rows = csv_rows.read(chunk, fields=layout.width, delimiter=layout.delimiter, encoding=layout.encoding)
        records, rejects = read(layout, rows)
        yield Parsed(chunk.first_row, chunk.first_row + len(chunk.lines), records, tuple(rejects), layout.notes)
        empty = False
    if empty:
        accesses, totals = empty_batch(_NAMES, _SCHEMA), empty_batch(_TOTALS_NAMES, _TOTALS_SCHEMA)
        nothing = {ACCESSES: accesses} if layout.fields else {TOTALS: totals}
        yield Parsed(first_row, first_row, nothing, (), layout.notes)


def _layout(lines: list[bytes]) -> _Layout:
    line = lines[0] if lines else b""
    try:
        text, encoding = line.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = line.decode("latin-1"), "latin-1"
    delimiter = ";" if text.count(";") >= text.count(",") else ","
    names = [_folded(name) for name in text.split(delimiter)]
    if len(set(names)) != len(names):
        raise InvalidContent("a column stands twice in the header")
    fields, months, other = {}, [], {}
    for number, name in enumerate(names):
        if match := _MONTH_COLUMN.fullmatch(name):
            months.append((number, date(int(match[1]), int(match[2]), 1)))
        elif name in _FIELDS:
            fields[_FIELDS[name]] = number
        else:
            other[name] = number
    clock = {name: other.pop(name, None) for name in ("ano", "mes", "acessos")}
    unknown = sorted(other.keys() - _IGNORED)
    notes = (f"undeclared columns: {', '.join(unknown)[:200]}",) if unknown else ()
    layout = _Layout(
        delimiter, encoding, len(names), fields, tuple(months), clock["ano"], clock["mes"], clock["acessos"], notes
    )
    _check(layout, names)
    return layout


def _check(layout: _Layout, names: list[str]) -> None:
    is_long = None not in (layout.year, layout.month, layout.accesses)
    if is_long == bool(layout.months):
        raise InvalidContent("the header has neither Ano, Mês, Acessos nor month columns (or has both)")
    if is_long and set(names) == {"ano", "mes", "acessos"}:
        return
    missing = sorted(set(_FIELDS.values()) - _SOMETIMES - layout.fields.keys())
    if missing:
        raise InvalidContent(f"the header lacks the columns of: {', '.join(missing)}")


def _folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.strip().strip('"'))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower()


def _descriptors(layout: _Layout, typing: Typing) -> dict[str, pa.Array]:
    """Every key field but the month, one value per source row."""
    found = {}
    for name in _KEY[1:]:
        kind = _SCHEMA.field(name).type
        number = layout.fields.get(name)
        if number is None:
            found[name] = pa.nulls(len(typing), kind)
        else:
            found[name] = typing.column(number, _READERS.get(name, values.text), kind)
    return found


def _months(layout: _Layout, typing: Typing) -> pa.Array:
    """The long layouts' month: year and month columns as a first day."""
    assert layout.year is not None and layout.month is not None  # noqa: PT018
    years = typing.column(layout.year, _year, pa.int64())
    months = typing.column(layout.month, _month, pa.int64())
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


Read = tuple[dict[str, pa.RecordBatch], list[Reject]]


def _long(layout: _Layout, rows: csv_rows.TextRows) -> Read:
    typing = Typing(rows)
    columns = {"reference_month_on": _months(layout, typing), **_descriptors(layout, typing)}
    assert layout.accesses is not None
    columns["accesses"] = typing.column(layout.accesses, _ACCESSES, pa.int64())
    columns["row_number"] = typing.row_numbers
    return _finish(ACCESSES, columns, typing)


def _total(layout: _Layout, rows: csv_rows.TextRows) -> Read:
    typing = Typing(rows)
    assert layout.accesses is not None
    columns = {
        "reference_month_on": _months(layout, typing),
        "accesses": typing.column(layout.accesses, _ACCESSES, pa.int64()),
        "row_number": typing.row_numbers,
    }
    return _finish(TOTALS, columns, typing)


def _finish(dataset: str, columns: dict[str, pa.Array], typing: Typing) -> Read:
    names, schema = (_NAMES, _SCHEMA) if dataset == ACCESSES else (_TOTALS_NAMES, _TOTALS_SCHEMA)
    if typing.problems:
        good = typing.good()
        columns = {name: column.take(good) for name, column in columns.items()}
    return {dataset: batch(names, [columns[name] for name in names], schema)}, typing.rejects(dataset)


def _wide(layout: _Layout, rows: csv_rows.TextRows) -> Read:
    """Unpivot row by row: cell (row, month) stands at row × months + month."""
    typing = Typing(rows)
    descriptors = _descriptors(layout, typing)
    count, width = len(typing), len(layout.months)
    # Month columns end to end, then read across: row-major element i is at (i mod width) × count + i div width.
    order = pa.arange(0, count * width, 1)
    source, month = pc.divide(order, width), pc.subtract(order, pc.multiply(pc.divide(order, width), width))
    texts = pa.concat_arrays([rows.columns[number] for number, _ in layout.months])
    texts = texts.take(pc.add(pc.multiply(month, count), source))
    present = pc.not_equal(pc.utf8_trim_whitespace(texts), "")
    if typing.problems:
        bad_rows = pa.array(sorted(typing.problems), pa.int64())
        present = pc.and_(present, pc.invert(pc.is_in(source, bad_rows)))
    texts, source, month = texts.filter(present), source.filter(present), month.filter(present)
    accesses, problems = typed(texts, _ACCESSES, pa.int64())
    row_numbers = pc.add(pc.multiply(typing.row_numbers.take(source), width), month)
    rejects = typing.rejects(ACCESSES, cells_per_row=width)
    if problems:
        rejects += [
            reject(ACCESSES, row_numbers[cell].as_py(), problem, typing.line(source[cell].as_py()))
            for cell, problem in problems.items()
        ]
        rejects.sort(key=lambda found: found.row_number)
        indices = pa.arange(0, len(accesses), 1)
        good = indices.filter(pc.invert(pc.is_in(indices, pa.array(sorted(problems), pa.int64()))))
        accesses, source, month, row_numbers = (array.take(good) for array in (accesses, source, month, row_numbers))
    firsts = pa.array([first for _, first in layout.months], pa.date32())
    columns = {name: column.take(source) for name, column in descriptors.items()}
    columns |= {"reference_month_on": firsts.take(month), "accesses": accesses, "row_number": row_numbers}
    return {ACCESSES: batch(_NAMES, [columns[name] for name in _NAMES], _SCHEMA)}, rejects


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource("acessos_banda_larga_fixa", "acessos/acessos_banda_larga_fixa.zip")]


def _select(resource: Resource, names: Sequence[str], span: Span) -> Mapping[str, str]:
    """Period → its wide member, else its long one, and the totals; nothing of periods that others own."""
    found: dict[str, str] = {}
    for name in sorted(names):
        base = PurePosixPath(name).name
        if _TOTAL_MEMBER.fullmatch(base):
            found[TOTAL_KEY] = name
        elif match := _MEMBER.fullmatch(base):
            period = match[1].replace("_", "-")
            if span.owns(date(int(period[-4:]), 12, 31)) and (match[2] or period not in found):
                found[period] = name
    return found


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The midnight after the month's last day, UTC."""

    def end(first: date) -> datetime:
        carry, month = divmod(first.month, 12)
        return datetime(first.year + carry, month + 1, 1, tzinfo=UTC)

    return map_distinct(records.column("reference_month_on"), end, pa.timestamp("us", tz="UTC"))


# April 2026 came out on 3 June, May on 2 July: a month after the month, and some days.
_PUBLICATION = Publication(_period_end, lambda part: timedelta(days=35))

SOURCE = Source(
    name=ACCESSES,
    datasets=(ACCESSES, TOTALS),
    base_url="https://www.anatel.gov.br/dadosabertos/paineis_de_dados/",
    calendar=Calendar(("23 */6 * * *",)),
    terms="open government data, ANATEL",
    history_start=date(2019, 1, 1),
    kind="zip",
    resources=_resources,
    parse=parse,
    publication={ACCESSES: _PUBLICATION, TOTALS: _PUBLICATION},
    select=_select,
)
