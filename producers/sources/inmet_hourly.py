"""INMET's automatic stations: yearly zips with one CSV per station, eight metadata lines above hourly rows.

Three layouts (to 2018, 2019, from 2020) differ in spelling, dates and what stands for a missing value, not in the order
of columns: columns are taken by position, after the header was checked to hold what each position must.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers.formats import csv_rows, values
from producers.formats.columns import Typing, batch, empty_batch, map_distinct, reject
from producers.formats.lines import LineReader
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
from producers.schedule.calendars import Calendar
from producers.scope import Scope, day_of
from schemas.arrow import arrow_schema
from schemas.contracts import load

HOURLY, STATIONS = "inmet_hourly", "inmet_stations"

# INMET_{REGION}_{UF}_{CODE}_{NAME}_{first day}_A_{last day}.CSV; NAME holds anything but is fenced from both ends.
_NAME = re.compile(
    r".*?INMET_([^_]+)_([^_]+)_([^_]+)_(.*)_([0-9]{2}-[0-9]{2}-[0-9]{4})_A_([0-9]{2}-[0-9]{2}-[0-9]{4})\.csv",
    re.IGNORECASE | re.DOTALL,
)

# An accented letter may arrive as itself, as `?`, plain, or as two characters of a wrong decoding: `.{1,2}`.
_METADATA = [
    re.compile(pattern)
    for pattern in ("REGI", "UF", "ESTA", "C.{1,2}DIGO", "LATITUDE", "LONGITUDE", "ALTITUDE", "DATA DE FUNDA")
]
_HEADER = [
    re.compile(pattern)
    for pattern in (
        "DATA",
        "HORA",
        "PRECIPITA",
        "PRESS.{1,2}O ATMOSF.{1,2}RICA AO NIVEL",
        "PRESS.{1,2}O ATMOSF.{1,2}RICA MAX",
        "PRESS.{1,2}O ATMOSF.{1,2}RICA MIN",
        "RADIA.{2,4}O GLOBAL",
        "TEMPERATURA DO AR - BULBO SECO",
        "TEMPERATURA DO PONTO DE ORVALHO",
        "TEMPERATURA M.{1,2}XIMA",
        "TEMPERATURA M.{1,2}NIMA",
        "TEMPERATURA ORVALHO MAX",
        "TEMPERATURA ORVALHO MIN",
        "UMIDADE REL. MAX",
        "UMIDADE REL. MIN",
        "UMIDADE RELATIVA DO AR",
        "VENTO, DIRE",
        "VENTO, RAJADA",
        "VENTO, VELOCIDADE",
    )
]
_MISSING = -9999.0

_HOURLY_SCHEMA = arrow_schema(load(HOURLY))
_STATIONS_SCHEMA = arrow_schema(load(STATIONS))
_VALUES = load(HOURLY).value_fields  # in the file's order of columns 3 to 19
_HOURLY_NAMES = ("station_code", "observed_at", *_VALUES, "row_number")
_STATION_NAMES = (*load(STATIONS).key, *load(STATIONS).value_fields, "row_number")


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """One station's file. The station's own record stands in the chunk that begins at row 0.

    Raises: InvalidContent when the metadata lines or the header are not a station file's.
    """
    reader = LineReader(blocks)
    head = reader.header(9)
    encoding, metadata, fields = _read_head(head)
    code = metadata[3].strip()
    station = _station(part, metadata, head) if first_row == 0 else None
    empty = True
    for chunk in reader.chunks(chunk_rows, first_row=first_row):
        rows = csv_rows.read(chunk, fields=fields, delimiter=";", encoding=encoding)
        typing = Typing(rows)
        days = typing.column(0, values.day, pa.date32())
        hours = typing.column(1, values.hour, pa.duration("us"))
        observed_at = pc.add(days.cast(pa.timestamp("us")), hours).cast(pa.timestamp("us", tz="UTC"))
        readings = [typing.column(2 + number, reading, pa.float64()) for number in range(len(_VALUES))]
        codes = pa.repeat(pa.scalar(code), len(typing))
        hourly = batch(_HOURLY_NAMES, [codes, observed_at, *readings, typing.row_numbers], _HOURLY_SCHEMA)
        records = {HOURLY: hourly.take(typing.good()) if typing.problems else hourly}
        yield _with_station(
            station if empty else None,
            Parsed(chunk.first_row, chunk.first_row + len(chunk.lines), records, tuple(typing.rejects(HOURLY))),
        )
        empty = False
    if empty:
        nothing = {HOURLY: empty_batch(_HOURLY_NAMES, _HOURLY_SCHEMA)}
        yield _with_station(station, Parsed(first_row, first_row, nothing))


def reading(text: str) -> float | None:
    """One measured value; blank and -9999 are missing."""
    number = values.real(text)
    return None if number == _MISSING else number


def _read_head(head: list[bytes]) -> tuple[str, list[str], int]:
    """Encoding, the eight metadata values, and the number of fields of a row."""
    # Declared latin-1, but files saved again by others are UTF-8; decoding UTF-8 as latin-1 would never fail.
    raw = b"\n".join(head)
    try:
        text, encoding = raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = raw.decode("latin-1"), "latin-1"
    lines = text.split("\n")
    if len(lines) < 9:
        raise InvalidContent(f"not a station file: {len(lines)} lines, and 8 of metadata and a header are needed")
    metadata = []
    for line, pattern in zip(lines, _METADATA, strict=False):
        key, _, value = line.partition(";")
        if not pattern.match(_folded(key)):
            raise InvalidContent(f"not a station file: {key[:40]!r} where {pattern.pattern!r} must stand")
        metadata.append(value.split(";")[0])
    names = lines[8].split(";")
    # Real files end each line with `;`: a 20th field, always empty.
    fields = len(names)
    if names[-1].strip() == "":
        names.pop()
    if len(names) != len(_HEADER):
        raise InvalidContent(f"{len(names)} columns where {len(_HEADER)} must be")
    for name, expected in zip(names, _HEADER, strict=True):
        if not expected.match(_folded(name)):
            raise InvalidContent(f"column {name[:60]!r} where {expected.pattern!r} must stand")
    if not metadata[3].strip():
        raise InvalidContent("the station file names no station code")
    return encoding, metadata, fields


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).upper()


def _station(part: Part, metadata: list[str], head: list[bytes]) -> pa.RecordBatch | Reject:
    region, uf, name, code, latitude, longitude, altitude, founded = metadata
    match = _NAME.fullmatch(part.name)
    try:
        if match is None:
            raise BadValueError(RejectReason.MISSING_VALUE, "the file's name holds no first day")
        row = [
            code.strip(),
            values.day(match[5]),
            values.text(region),
            values.text(uf),
            values.text(name),
            reading(latitude),
            reading(longitude),
            reading(altitude),
            values.founding_day(founded),
            0,
        ]
    except BadValueError as problem:
        return reject(STATIONS, 0, problem, b"\n".join(head[:8]))
    kinds = [_STATIONS_SCHEMA.field(field).type for field in _STATION_NAMES]
    columns = [pa.array([value], kind) for value, kind in zip(row, kinds, strict=True)]
    return batch(_STATION_NAMES, columns, _STATIONS_SCHEMA)


def _with_station(station: pa.RecordBatch | Reject | None, parsed: Parsed) -> Parsed:
    if station is None:
        return parsed
    if isinstance(station, Reject):
        return Parsed(parsed.first_row, parsed.next_row, parsed.records, (station, *parsed.rejects))
    return Parsed(parsed.first_row, parsed.next_row, {STATIONS: station, **parsed.records}, parsed.rejects)


def _resources(today: date, span: Span) -> Sequence[Resource]:
    # Closed years are asked again too: INMET republishes them with corrections, and the question costs one byte.
    years = range(span.first.year, today.year + 1)
    return [Resource(str(year), f"{year}.zip") for year in years if span.owns(date(year, 12, 31))]


def _select(resource: Resource, names: Sequence[str], span: Span) -> Mapping[str, str]:
    """Station code → member. The name's end date moves in a running year, so it is no part of the key."""
    found: dict[str, str] = {}
    for name in sorted(names):
        match = _NAME.fullmatch(PurePosixPath(name).name)
        if match is None:
            continue
        key = match[3] if match[3] not in found else f"{match[3]} from {match[5]}"
        found[key] = name
    return found


def _scope(key: str, name: str) -> Scope | None:
    """A file states every hour of its station between the two days in its name."""
    match = _NAME.fullmatch(name)
    try:
        days = (values.day(match[5]), values.day(match[6])) if match else None
    except BadValueError:
        days = None
    return Scope((HOURLY, STATIONS), (days,), (("station_code", match[3]),)) if match and days else None


def _start_of_day(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


# The running year's zip is replaced about monthly; a day's values wait for the next one, at most 33 days.
_LAG = timedelta(days=33)

SOURCE = Source(
    name=HOURLY,
    datasets=(HOURLY, STATIONS),
    base_url="https://portal.inmet.gov.br/uploads/dadoshistoricos/",
    calendar=Calendar(("41 4,16 * * *",)),
    terms="open government data, INMET",
    history_start=date(2019, 1, 1),
    kind="zip",
    resources=_resources,
    parse=parse,
    publication={
        HOURLY: Publication(lambda records: records.column("observed_at"), lambda part: _LAG),
        STATIONS: Publication(
            lambda records: map_distinct(records.column("valid_from_on"), _start_of_day, pa.timestamp("us", tz="UTC")),
            lambda part: _LAG,
        ),
    },
    select=_select,
    scope=_scope,
    days={HOURLY: day_of("observed_at"), STATIONS: day_of("valid_from_on")},
)
