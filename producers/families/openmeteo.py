"""Code for Open-Meteo's archive and forecast: points, requests, body layout, refusals.

A body has columns: `hourly` holds `time` and one array per variable, all of the same length. Times have no zone (GMT is
requested, and the body must confirm it), units are only in `hourly_units`, and `latitude`/`longitude` are those of the
grid cell, not of the requested point.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa

from foundation import clock
from foundation.errors import InvalidContent
from producers.families import openmeteo_points
from producers.formats.columns import batch, reject
from producers.formats.json_rows import constant, object_of
from producers.model import BadValueError, Choosable, Parsed, Part, Reject, RejectReason, Resource
from schemas.arrow import arrow_schema
from schemas.contracts import load

MODEL = "best_match"
"""The mixture of models that Open-Meteo uses by default; so no model is named in requests."""

TERMS = "free tier non-commercial only; data CC BY 4.0; a key by setting for companies"

VARIABLES = {
    "temperature_2m": ("°C", "air_temperature_celsius"),
    "relative_humidity_2m": ("%", "relative_humidity_percent"),
    "precipitation": ("mm", "precipitation_mm"),
    "wind_speed_10m": ("km/h", "wind_speed_km_h"),
}
"""Requested variable → its unit, which is checked, and the contract's field."""

UNDEFINED = "undefined"
"""The unit of a variable that the model of the answer does not compute; its values are null."""

_GRID = {"latitude": "grid_latitude_degrees", "longitude": "grid_longitude_degrees", "elevation": "elevation_m"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_MIDNIGHT_AND_A_BIT = timedelta(minutes=5)
_POINT = re.compile(r"\d{7}(@-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?)?", re.ASCII)


@dataclass(frozen=True)
class Hours:
    """A checked body: the grid cell, and per hour its time and values, as the source wrote them."""

    grid: Mapping[str, float | None]
    times: Sequence[Any]
    columns: Sequence[Sequence[Any]]
    notes: tuple[str, ...]


CHOOSABLE = Choosable("point", openmeteo_points.DECLARED)
"""The capitals' points can be left out; others come with the setting `places`."""


def resources(source: str, path: str) -> Sequence[Resource]:
    """One resource per point."""
    return [Resource(point.code, path) for point in openmeteo_points.polled(source)]


def params(resource: Resource) -> dict[str, str]:
    """The parameters of every request for a point."""
    point = openmeteo_points.known()[resource.name]
    return {
        "latitude": point.latitude,
        "longitude": point.longitude,
        "hourly": ",".join(VARIABLES),
        "timezone": "GMT",
    }


def read(body: bytes) -> Hours:
    """A body of one point, or a list with the one. Raises: InvalidContent, with the source's reason if it gives one."""
    found = _one_point(body)
    hourly, units = found.get("hourly"), found.get("hourly_units")
    if not isinstance(hourly, dict) or not isinstance(units, dict):
        raise InvalidContent("no hourly values and units")
    # Times have no zone, so the body must state that it is in GMT.
    if found.get("utc_offset_seconds") != 0:
        raise InvalidContent(f"times are {_shown(found.get('utc_offset_seconds'))} seconds from UTC, not 0")
    wanted = {"time": "iso8601", **{name: unit for name, (unit, _) in VARIABLES.items()}}
    unknown = ", ".join(sorted(_shown(name) for name in hourly.keys() - wanted.keys()))[:200]
    if missing := [name for name in wanted if name not in hourly]:
        raise InvalidContent(f"no {', '.join(missing)}; unknown names: {unknown or 'none'}")
    notes = [f"variables nobody asked for: {unknown}"] if unknown else []
    for name, unit in wanted.items():
        if not isinstance(hourly[name], list):
            raise InvalidContent(f"no array of {name}")
        if name not in units:
            raise InvalidContent(f"no unit of {name}")
        if units[name] == UNDEFINED and all(value is None for value in hourly[name]):
            notes.append(f"no value and no unit of {name}: the model that answered does not compute it")
        elif units[name] != unit:
            raise InvalidContent(f"{name} is in {_shown(units[name])!r}, not in {unit!r}")
    if len({len(hourly[name]) for name in wanted}) > 1:
        raise InvalidContent("arrays of unequal length: " + ", ".join(f"{name} {len(hourly[name])}" for name in wanted))
    notes += [f"no {name}: it is null" for name in _GRID if name not in found]
    return Hours(_grid(found), hourly["time"], [hourly[name] for name in VARIABLES], tuple(notes))


def parsed(
    dataset: str, blocks: Iterable[bytes], part: Part, issued_at: datetime | None, *, first_row: int, chunk_rows: int
) -> Iterator[Parsed]:
    """The hours of a body as a dataset's records; the part's resource is the point's code.

    Args:
        issued_at: of the forecast; None for a dataset without it.

    Raises: InvalidContent.
    """
    if _POINT.fullmatch(part.resource) is None:
        raise InvalidContent(f"{part.resource[:50]!r} is not a municipality's code; name one with --point")
    hours = read(b"".join(blocks))
    constant = {"point_id": part.resource, "model": MODEL, **({"issued_at": issued_at} if issued_at else {})}
    start = first_row
    while start < len(hours.times) or start == first_row:
        yield _chunk(dataset, hours, {**constant, **hours.grid}, start, min(len(hours.times), start + chunk_rows))
        start += chunk_rows


def repeats(former: bytes, body: bytes) -> bool:
    """Whether every hour was in the former body with the same values.

    `generationtime_ms` differs in every answer, and the window moves: neither counts as a difference.
    """
    try:
        return _by_time(read(body)).items() <= _by_time(read(former)).items()
    except InvalidContent:
        return False  # the parser will report the problem


def confirms(body: bytes, before: datetime, now: datetime) -> bool:
    """Whether an hour with a value was in the future at the former fetch and is past now.

    Then the same value has another meaning: it was a forecast, and now it describes a past hour.
    """
    with suppress(InvalidContent):
        return any(before < moment <= now for moment in _moments_with_a_value(read(body)))
    return False


def newest_day(body: bytes) -> date | None:
    """The day of the newest hour that has a value; None when no hour has one."""
    with suppress(InvalidContent):
        return max((moment.date() for moment in _moments_with_a_value(read(body))), default=None)
    return None


def _moments_with_a_value(hours: Hours) -> Iterator[datetime]:
    for moment, *values in zip(hours.times, *hours.columns, strict=True):
        if any(value is not None for value in values):
            with suppress(BadValueError):
                yield _moment(moment)


def is_no_news(status: int, body: bytes) -> bool:
    """A body without an hour; every refusal is an error here."""
    try:
        return status == 200 and not read(body).times
    except InvalidContent:
        return False


def throttled_for(body: bytes) -> timedelta | None:
    """How long to pause after a 429. There is no Retry-After: the `reason` names a minute, an hour or a day.

    A daily limit begins again with the UTC day, as far as its reason ("tomorrow") can be read.
    """
    reason = (_reason(body) or "").lower()
    if "minute" in reason:
        return timedelta(minutes=1)
    if "hour" in reason:
        return timedelta(hours=1)
    if "tomorrow" in reason or "daily" in reason:
        now = clock.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return midnight - now + _MIDNIGHT_AND_A_BIT
    return None


def _one_point(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode("utf-8-sig"), parse_constant=constant, object_pairs_hook=object_of)
    except (ValueError, RecursionError) as error:
        raise InvalidContent(f"not JSON: {error}") from None
    if isinstance(found, list):
        if len(found) != 1:
            raise InvalidContent(f"a list of {len(found)} points; one was requested")
        found = found[0]
    if not isinstance(found, dict):
        raise InvalidContent("not a JSON object")
    if found.get("error"):
        raise InvalidContent(f"the source says: {_shown(found.get('reason'))}")
    return found


def _reason(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return str(found.get("reason")) if isinstance(found, dict) else None


def _shown(value: Any) -> str:
    """A source's text, shortened, and without lone surrogates, which a log could not encode."""
    return str(value)[:200].encode(errors="replace").decode()


def _grid(found: Mapping[str, Any]) -> dict[str, float | None]:
    grid: dict[str, float | None] = {}
    for name, field in _GRID.items():
        try:
            grid[field] = _real(found.get(name))
        except BadValueError as problem:
            raise InvalidContent(f"{name}: {problem}") from None
    return grid


def _by_time(hours: Hours) -> dict[str, str]:
    """Each hour as text → its values and cell as text, because hostile values may not be hashable."""
    rows = zip(hours.times, *hours.columns, strict=True)
    return {json.dumps(moment): json.dumps([hours.grid, values]) for moment, *values in rows}


def _chunk(dataset: str, hours: Hours, constant: Mapping[str, Any], start: int, end: int) -> Parsed:
    fields = [field for _, field in VARIABLES.values()]
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for number in range(start, end):
        written = [column[number] for column in hours.columns]
        try:
            row = {"valid_at": _moment(hours.times[number]), "row_number": number}
            row |= dict(zip(fields, map(_real, written), strict=True))
        except BadValueError as problem:
            raw = json.dumps([hours.times[number], *written], ensure_ascii=False).encode(errors="replace")
            rejects.append(reject(dataset, number, problem, raw))
        else:
            rows.append(row)
    schema = arrow_schema(load(dataset))
    names = [*constant, "valid_at", *fields, "row_number"]
    columns = [
        pa.array([constant[name] if name in constant else row[name] for row in rows], schema.field(name).type)
        for name in names
    ]
    return Parsed(start, end, {dataset: batch(names, columns, schema)}, tuple(rejects), hours.notes)


def _moment(value: Any) -> datetime:
    """`2025-11-10T23:00`, UTC: a whole hour; a row between two hours would give a day too many hours."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise BadValueError(RejectReason.BAD_DATE, f"not an hour: {value!r}")
    if not value.endswith(":00"):
        raise BadValueError(RejectReason.BAD_DATE, f"not a whole hour: {value!r}")
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        raise BadValueError(RejectReason.BAD_DATE, f"no such hour: {value!r}") from None


def _real(value: Any) -> float | None:
    """A JSON number; null stays null: the value is not available, or not yet."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
        raise BadValueError(RejectReason.BAD_NUMBER, f"not a number: {value!r}")
    return float(value)
