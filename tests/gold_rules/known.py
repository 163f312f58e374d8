"""What every rule begins with: silver's newest versions, civil days, exact sums, the reference files."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "stream_jobs" / "reference"
SCHEMAS = ROOT / "schemas"
DAY = timedelta(days=1)
MILLIONTH = Decimal("0.000001")
TOO_LARGE = 1e12
"""Of a measurement: twelve digits stand before the point at most, six behind it."""

Row = dict[str, Any]


class Silver:
    """Silver's revisions, as some reader gives them.

    Args: revisions: dataset → all versions of all keys, instants in UTC.
    """

    def __init__(self, revisions: Callable[[str], list[Row]]) -> None:
        self._read = revisions
        self._held: dict[str, dict[tuple[Any, ...], list[Row]]] = {}

    def newest(self, dataset: str, *values: str, withdrawn: bool = False) -> list[Row]:
        """The newest version of every key; `is_assumed`: its clock was inferred (period's end + lag), not measured.

        Args:
            values: columns by which a key is known: `first_known_from` is the first version that has any of them, None
                where there never was one. None given: the first version that is no withdrawal.
            withdrawn: keys that are withdrawn too, without values; else they have no row.
        """
        found = []
        for versions in self._versions(dataset).values():
            newest = max(versions, key=lambda row: (row["known_from"], row["kafka_offset"]))
            told = [row["known_from"] for row in versions if _says(row, values)]
            if withdrawn or not newest.get("is_withdrawn"):
                assumed = newest["published_at_basis"] == "assumed_lag"
                found.append(newest | {"first_known_from": min(told, default=None), "is_assumed": assumed})
        return found

    def _versions(self, dataset: str) -> dict[tuple[Any, ...], list[Row]]:
        if dataset not in self._held:
            key = json.loads((SCHEMAS / f"{dataset}.avsc").read_text())["key"]
            self._held[dataset] = by(self._read(dataset), *key)
        return self._held[dataset]


def _says(row: Row, values: tuple[str, ...]) -> bool:
    return not row.get("is_withdrawn") and (not values or any(row[name] is not None for name in values))


def by(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by their values in some columns; null is a value like any other."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in columns)].append(row)
    return found


def latest(clocks: Iterable[Any]) -> Any:
    """The greatest of what there is; None where there is nothing."""
    return max((each for each in clocks if each is not None), default=None)


def least(values: Iterable[Any]) -> Any:
    """The smallest of what there is; None where there is nothing."""
    return min((each for each in values if each is not None), default=None)


def exact(values: Iterable[float | None]) -> list[Decimal]:
    """Measurements as decimals of six places: their sum is the same in any order. What does not fit is none."""
    there = (each for each in values if each is not None and math.isfinite(each) and abs(each) < TOO_LARGE)
    return [Decimal(repr(float(each))).quantize(MILLIONTH, ROUND_HALF_UP) for each in there]


def total(values: Iterable[float | None]) -> float | None:
    """The sum of the values there are; None where there is none, never 0."""
    there = exact(values)
    return float(sum(there)) if there else None


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are; None where there is none."""
    there = exact(values)
    return float(sum(there)) / len(there) if there else None


def above(value: float | None, threshold: float) -> bool | None:
    """Whether a value is strictly above a threshold; None where there is no value."""
    return None if value is None else value > threshold


def percent(part: float | None, whole: float | None) -> float | None:
    """A part of a whole in percent; None where either is unknown, or the whole is nothing."""
    return None if part is None or not whole else part / whole * 100


def group(rows: Iterable[Row], key: Callable[[Row], Hashable | None]) -> dict[Any, list[Row]]:
    """Rows by what a function says of them; those of which it says None are left out."""
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        if (place := key(row)) is not None:
            found[place].append(row)
    return found


def until_the_next(rows: Iterable[Row]) -> list[Row]:
    """Descriptions in time: each holds from its `valid_from_on` until the day before the next one's.

    That it ends is known since the next one is: `known_from` is the later of both.
    """
    ordered = sorted(rows, key=lambda row: row["valid_from_on"])
    return [
        row
        | {
            "valid_to_on": following and following["valid_from_on"] - DAY,
            "known_from": latest([row["known_from"], following and following["known_from"]]),
        }
        for row, following in zip(ordered, [*ordered[1:], None], strict=True)
    ]


def civil_day(instant: datetime, zone: str) -> date:
    """The date on a zone's wall clock, with the summer time of its year."""
    return instant.astimezone(_zone(zone)).date()


def utc_day(instant: datetime) -> date:
    """The date in UTC."""
    return instant.astimezone(UTC).date()


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def reference(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a reference file; one of them begins with a byte order mark."""
    with (REFERENCE / name).open(encoding="utf-8-sig", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def _column(name: str, key: str, value: str) -> dict[str, str]:
    """One column of a reference file by another."""
    return {row[key]: row[value] for row in reference(name)}


def zone_of_state() -> dict[str, str]:
    """State → its time zone."""
    return _column("state_time_zones.csv", "uf", "time_zone")


def zone_of_municipality() -> dict[str, str]:
    """Municipality → its own time zone, for those that have another than their state."""
    return _column("municipality_time_zones.csv", "municipality_code", "time_zone")


def zone_of_station() -> dict[str, str]:
    """Station in such a municipality → that zone."""
    return _column("municipality_time_zones.csv", "station_code", "time_zone")


def station_of_capital() -> dict[str, str]:
    """Capital → the station that stands for its weather."""
    return _column("capital_stations.csv", "municipality_code", "station_code")


def state_of_capital() -> dict[str, str]:
    """Capital → its state."""
    return _column("capital_stations.csv", "municipality_code", "uf")


def state_of_code() -> dict[str, str]:
    """First two digits of a municipality's code → its state."""
    return _column("estados.csv", "codigo_uf", "uf")


def zone_of_place(municipality_code: str) -> str | None:
    """A municipality's time zone: its own, else its state's; None outside Brazil."""
    state = state_of_code().get(municipality_code[:2], "")
    return zone_of_municipality().get(municipality_code) or zone_of_state().get(state)
