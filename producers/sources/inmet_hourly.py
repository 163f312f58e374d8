"""INMET's automatic stations: yearly zips with one CSV per station, eight metadata lines above hourly rows.

Three layouts (to 2018, 2019, from 2020) differ in spelling, dates and the text for a missing value. The lines above the
rows are read in `families/inmet_header.py`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers.calendars import Calendar
from producers.families import inmet_header
from producers.families.inmet_header import Header
from producers.formats import csv_rows, values
from producers.formats.columns import Typing, batch, empty_batch, map_distinct, reject
from producers.formats.lines import LineReader
from producers.model import (
    CHUNK_ROWS,
    BadValueError,
    Choosable,
    Parsed,
    Part,
    Publication,
    Reject,
    RejectReason,
    Resource,
    Source,
    Span,
)
from producers.scope import Scope, day_of
from schemas.arrow import arrow_schema
from schemas.contracts import load

T = TypeVar("T")

HOURLY, STATIONS = "inmet_hourly", "inmet_stations"

# INMET_{REGION}_{UF}_{CODE}_{NAME}_{first day}_A_{last day}.CSV; NAME holds anything but is fenced from both ends.
_NAME = re.compile(
    r".*?INMET_([^_]+)_([^_]+)_([^_]+)_(.*)_([0-9]{2}-[0-9]{2}-[0-9]{4})_A_([0-9]{2}-[0-9]{2}-[0-9]{4})\.csv",
    re.IGNORECASE | re.DOTALL,
)

_MISSING = -9999.0

_HOURLY_SCHEMA = arrow_schema(load(HOURLY))
_STATIONS_SCHEMA = arrow_schema(load(STATIONS))
_VALUES = load(HOURLY).value_fields  # in the order of inmet_header.COLUMNS after day and hour
_HOURLY_NAMES = ("station_code", "observed_at", *_VALUES, "row_number")
_STATION_NAMES = (*load(STATIONS).key, *load(STATIONS).value_fields, "row_number")


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """Parse one station's file. The station's own record is in the chunk that begins at row 0.

    Raises: InvalidContent when the lines above the rows are not a station file's, or contradict the file's name.
    """
    reader = LineReader(blocks)
    head = reader.header(inmet_header.LINES)
    header = inmet_header.read(head)
    name = _NAME.fullmatch(part.name)
    _check_name(name, header)
    code = header.metadata[3].strip()
    station, notes = _station(name, header, head) if first_row == 0 else (None, ())
    read_day = _day_within(_period(name))
    empty = True
    for chunk in reader.chunks(chunk_rows, first_row=first_row):
        rows = csv_rows.read(chunk, fields=header.fields, delimiter=";", encoding=header.encoding)
        typing = Typing(rows)
        day_place, hour_place, *places = header.places
        assert day_place is not None, "a required column"
        assert hour_place is not None, "a required column"
        days = typing.column(day_place, read_day, pa.date32())
        hours = typing.column(hour_place, values.hour, pa.duration("us"))
        observed_at = pc.add(days.cast(pa.timestamp("us")), hours).cast(pa.timestamp("us", tz="UTC"))
        readings = [
            pa.nulls(len(typing), pa.float64()) if place is None else typing.column(place, reading, pa.float64())
            for place in places
        ]
        codes = pa.repeat(pa.scalar(code), len(typing))
        hourly = batch(_HOURLY_NAMES, [codes, observed_at, *readings, typing.row_numbers], _HOURLY_SCHEMA)
        records = {HOURLY: hourly.take(typing.good()) if typing.problems else hourly}
        rejects, end = tuple(typing.rejects(HOURLY)), chunk.first_row + len(chunk.lines)
        yield _with_station(
            station if empty else None,
            Parsed(chunk.first_row, end, records, rejects, header.notes + (notes if empty else ())),
        )
        empty = False
    if empty:
        nothing = {HOURLY: empty_batch(_HOURLY_NAMES, _HOURLY_SCHEMA)}
        yield _with_station(station, Parsed(first_row, first_row, nothing, (), header.notes + notes))


def reading(text: str) -> float | None:
    """One measured value; blank and -9999 are missing."""
    number = values.real(text)
    return None if number == _MISSING else number


def _check_name(name: re.Match[str] | None, header: Header) -> None:
    """Raises: InvalidContent when name and metadata are about two stations: it is unknown which of them is right."""
    if name is None:
        return
    _, uf, _, code, *_ = header.metadata
    for what, named, written in (("station code", name[3], code.strip()), ("state", name[2], uf.strip())):
        if written and written.upper() != named.strip().upper():
            raise InvalidContent(f"contradicts itself: {what} {named[:20]!r} in the name, {written[:20]!r} in the file")


def _period(name: re.Match[str] | None) -> tuple[date, date] | None:
    """First and last day that the file's name states; None where it states none. Raises: InvalidContent."""
    try:
        period = (values.day(name[5]), values.day(name[6])) if name else None
    except BadValueError:
        return None
    if period and period[0] > period[1]:
        raise InvalidContent(f"contradicts itself: its name ends ({period[1]}) before it begins ({period[0]})")
    return period


def _day_within(period: tuple[date, date] | None) -> Callable[[str], date]:
    """A reader of days that refuses those outside the period that the file's name states: a damaged year."""

    def read(text: str) -> date:
        day = values.day(text)
        if period and not period[0] <= day <= period[1]:
            raise BadValueError(
                RejectReason.OUT_OF_RANGE, f"{text.strip()!r} is outside the file's {period[0]} to {period[1]}"
            )
        return day

    return read


def _station(
    name: re.Match[str] | None, header: Header, head: list[bytes]
) -> tuple[pa.RecordBatch | Reject, tuple[str, ...]]:
    """The station's record, and what was left out of it. Only code and first day are needed: they are the key."""
    region, uf, station, code, latitude, longitude, altitude, founded = header.metadata
    notes: list[str] = []

    def if_readable(what: str, read: Callable[[str], T], text: str) -> T | None:
        try:
            return read(text)
        except BadValueError as problem:
            notes.append(f"{what} left out: {problem.detail}")
            return None

    try:
        if name is None:
            raise BadValueError(RejectReason.MISSING_VALUE, "the file's name holds no first day")
        first_day = values.day(name[5])
    except BadValueError as problem:
        return reject(STATIONS, 0, problem, b"\n".join(head[:8])), ()
    row = [
        code.strip(),
        first_day,
        values.text(region),
        values.text(uf),
        values.text(station),
        if_readable("latitude", reading, latitude),
        if_readable("longitude", reading, longitude),
        if_readable("altitude", reading, altitude),
        if_readable("founding day", values.founding_day, founded),
        0,
    ]
    kinds = [_STATIONS_SCHEMA.field(field).type for field in _STATION_NAMES]
    columns = [pa.array([value], kind) for value, kind in zip(row, kinds, strict=True)]
    return batch(_STATION_NAMES, columns, _STATIONS_SCHEMA), tuple(notes)


def _with_station(station: pa.RecordBatch | Reject | None, parsed: Parsed) -> Parsed:
    if station is None:
        return parsed
    if isinstance(station, Reject):
        return replace(parsed, rejects=(station, *parsed.rejects))
    return replace(parsed, records={STATIONS: station, **parsed.records})


def _resources(today: date, span: Span) -> Sequence[Resource]:
    # The running year first: history may be long, and may fail. Closed years are asked again too: INMET republishes
    # them with corrections, and the question costs one byte.
    years = range(today.year, span.first.year - 1, -1)
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


def _station_chosen(code: str, fields: Any) -> str:
    """A station that the settings name; INMET's list of them is in no file of ours. Raises: ValueError."""
    if not re.fullmatch(r"[A-Z][0-9]{3}", code):
        raise ValueError("a station is named by INMET's code, such as A401")
    return code


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
    choosable=Choosable("station", {}, _station_chosen),
)
