"""The data of a plot: named series and factors, as they were known at one or several instants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import as_of
from schemas.contracts import load

MOST_POINTS = 200_000
"""Most points of one line: more than the plot has pixels, and few enough for memory."""

UNITS = {
    "_celsius": "°C",
    "_percent": "%",
    "_mm": "mm",
    "_m_s": "m/s",
    "_km_h": "km/h",
    "_hpa": "hPa",
    "_kj_m2": "kJ/m²",
    "_degrees": "°",
}

FORMS = "sgs:433, openmeteo:2927408:air_temperature_celsius, inmet:A401:rain_mm or factor:2927408:rain_mm"


@dataclass(frozen=True)
class Line:
    """One series as it was known at one instant.

    Attributes:
        vintage: the instant; None means now.
        at: dates or instants (UTC), ascending. values: as many; None where there is none.
        known_from: the newest of the versions.
    """

    vintage: datetime | None
    at: list[Any]
    values: list[float | None]
    known_from: datetime | None


@dataclass(frozen=True)
class Picture:
    """Lines of one quantity. title: what it is. unit: of the values. source: the table."""

    title: str
    unit: str
    source: str
    lines: list[Line]


@dataclass(frozen=True)
class _Wanted:
    """The table and columns with the values of a name: a dataset, or `gold.external_factors_daily`."""

    table: str
    time: str
    value: str
    where: str
    title: str
    unit: str


def picture(
    lake: Lake, name: str, vintages: Sequence[datetime], *, first_on: date | None, last_on: date | None
) -> Picture:
    """The lines of a name, one per vintage, or one as known now.

    Args:
        name: see `FORMS`.
        first_on, last_on: days to draw, both included; None does not cut.

    Raises:
        UsageError: there is no such series, or it has too many points, or a factor is asked for as of an instant.
    """
    wanted = _wanted(lake, name)
    if vintages and wanted.table.startswith("gold."):
        raise UsageError(
            "gold holds what is known now", hint="correnteza features has factors as past instants knew them"
        )
    times = ((first_on, ">="), (last_on, "<="))
    inside = [f"\"{wanted.time}\"::DATE {sign} DATE '{day}'" for day, sign in times if day]
    where = " AND ".join([wanted.where, *inside])
    lines = [_line(lake, wanted, where, vintage) for vintage in sorted(set(vintages))] or [
        _line(lake, wanted, where, None)
    ]
    if not any(line.at for line in lines):
        raise UsageError(f"{name} has no values there", hint=f"{wanted.table} where {where}")
    return Picture(wanted.title, wanted.unit, wanted.table, lines)


def of_days(lake: Lake, name: str) -> pa.Table:
    """date_on (date), value (double) and known_from (UTC) of a series that has one value per date, as known now.

    Raises: UsageError: there is no such series, or its values are of hours.
    """
    wanted = _wanted(lake, name)
    if not wanted.time.endswith("_on"):
        raise UsageError(f"{name} has values of hours, and a forecast is of a day", hint="a factor has days")
    rows = _rows(lake, wanted, wanted.where, None)
    days = rows[wanted.time].cast(pa.date32())
    values, known = rows[wanted.value].cast(pa.float64()), rows["known_from"].cast(pa.timestamp("us", "UTC"))
    return pa.table({"date_on": days, "value": values, "known_from": known})


def _wanted(lake: Lake, name: str) -> _Wanted:
    match name.split(":"):
        case ["sgs", code] if code.isdigit():
            meaning, unit = _series(lake, int(code))
            return _Wanted("bcb_sgs", "reference_on", "value", f"series_code = {code}", f"{meaning} (SGS {code})", unit)
        case ["openmeteo", point, column] if point.isalnum():
            where = f"point_id = '{point}'"
            return _measured("openmeteo_archive", "valid_at", column, where, f"{_words(column)}, point {point}")
        case ["inmet", station, column] if station.isalnum():
            where = f"station_code = '{station}'"
            return _measured("inmet_hourly", "observed_at", column, where, f"{_words(column)}, station {station}")
        case ["factor", code, column] if code.isdigit():
            table = "gold.external_factors_daily"
            kinds = {str(row["column_name"]): str(row["column_type"]) for row in lake.rows(f"DESCRIBE {table}")}
            if not kinds.get(column, "").startswith(("DOUBLE", "DECIMAL", "BIGINT")):
                raise UsageError(f"{column!r} is not a numeric factor", hint=f"see docs/data-dictionary.md, {table}")
            where = f"municipality_code = '{code}'"
            return _Wanted(table, "date_on", column, where, f"{_words(column)}, {_place(lake, code)}", _unit(column))
    raise UsageError(f"{name!r} names nothing that can be drawn", hint=FORMS)


def _measured(dataset: str, time: str, column: str, where: str, title: str) -> _Wanted:
    numeric = [name for name in load(dataset).value_fields if _unit(name)]
    if column not in numeric:
        raise UsageError(f"{dataset} has no numeric column {column!r}", hint=f"one of: {', '.join(numeric)}")
    return _Wanted(dataset, time, column, where, title, _unit(column))


def _line(lake: Lake, wanted: _Wanted, where: str, vintage: datetime | None) -> Line:
    rows = _rows(lake, wanted, where, vintage)
    if rows.num_rows > MOST_POINTS:
        raise UsageError(f"{rows.num_rows:,} points are too many for a picture", hint="--from and --to name fewer days")
    rows = rows.sort_by(wanted.time)
    values = [None if value is None else float(value) for value in rows[wanted.value].to_pylist()]
    known = [instant for instant in rows["known_from"].to_pylist() if instant is not None]
    return Line(vintage, rows[wanted.time].to_pylist(), values, max(known, default=None))


def _rows(lake: Lake, wanted: _Wanted, where: str, vintage: datetime | None) -> pa.Table:
    if vintage is not None:
        return as_of(lake, load(wanted.table), vintage, where=where)
    table = wanted.table if wanted.table.startswith("gold.") else f"silver.{wanted.table}"
    if not lake.has(table):
        raise UsageError(f"{table} does not exist yet", hint="correnteza status")
    return lake.sql(f'SELECT "{wanted.time}", "{wanted.value}", known_from FROM {table} WHERE {where}')


def _series(lake: Lake, code: int) -> tuple[str, str]:
    if lake.has("gold.dim_economic_series"):
        found = lake.rows("SELECT name, unit FROM gold.dim_economic_series WHERE series_code = ?", [code])
        if found:
            return str(found[0]["name"]), str(found[0]["unit"])
    return "series", ""


def _place(lake: Lake, code: str) -> str:
    if lake.has("gold.dim_municipality"):
        found = lake.rows("SELECT name FROM gold.dim_municipality WHERE municipality_code = ?", [code])
        if found:
            return str(found[0]["name"])
    return code


def _unit(column: str) -> str:
    return next((unit for suffix, unit in UNITS.items() if column.endswith(suffix)), "")


def _words(column: str) -> str:
    suffix = next((suffix for suffix in UNITS if column.endswith(suffix)), "")
    return column.removesuffix(suffix).replace("_", " ").capitalize()
