"""Compare gold with silver: each table equals the result of its rule over all of silver's revisions at once.

Readers (delta-rs), rules (`tests/gold_rules/`) and the hash are the tests' own: no product code, no SQL of `verify`.
Each oracle returns the contradictions as texts; an empty list means that all is right. Two tables are not judged,
`forecasts` and `dim_economic_series`, for the reasons in `NOT_JUDGED`; any other table without a rule is an error.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from storage import files
from storage.location import Location
from tests.gold_rules import economy, factors, places, telecom, weather
from tests.gold_rules.known import Row, Silver
from tests.lake_oracles import order_free_hash, table, utc

SHOWN = 5
CLOSE = 1e-9
"""Two sums of floating-point numbers may differ in their last digits, by the order of their terms; in nothing else."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Rule:
    """The required content of a table.

    Attributes:
        key: columns that name a row; each stands once.
        rows: silver → all rows of the table.
        without: columns that a rule computes for other rules, and the table does not have.
    """

    key: tuple[str, ...]
    rows: Callable[[Silver], list[Row]]
    without: tuple[str, ...] = ()


RULES = {
    "dim_copom_meeting": Rule(("meeting_id",), lambda _: economy.meetings()),
    "dim_date": Rule(("date_on",), lambda _: places.calendar()),
    "dim_municipality": Rule(("municipality_code",), lambda _: places.municipalities()),
    "dim_municipality_population": Rule(("municipality_code", "valid_from_on"), places.populations),
    "dim_operator": Rule(("cnpj", "valid_from_on"), telecom.operators),
    "dim_weather_station": Rule(("station_code", "valid_from_on"), weather.stations),
    "external_factors_daily": Rule(("date_on", "municipality_code"), factors.factors),
    "fact_5g_municipality": Rule(("municipality_code", "reference_month_on"), telecom.coverage),
    "fact_base_stations": Rule(("license_row_id",), telecom.licences),
    "fact_broadband_accesses_monthly": Rule(
        ("reference_month_on", "municipality_code", "technology"), telecom.broadband_facts
    ),
    "fact_economic_observation": Rule(("series_code", "reference_on"), economy.observations),
    "fact_fx_daily": Rule(("currency_code", "date_on"), economy.rates),
    "fact_mobile_accesses_monthly": Rule(
        ("reference_month_on", "municipality_code", "generation"), telecom.mobile_facts
    ),
    "fact_reanalysis_daily": Rule(("municipality_code", "date_on", "model"), weather.reanalysed, ("is_assumed",)),
    "fact_weather_daily": Rule(("station_code", "date_on"), weather.observed, ("is_assumed",)),
}
"""Table of gold → its rule."""

NOT_JUDGED = {
    "dim_economic_series": "a list that stands in the code: there is nothing to compute it from",
    "pipeline_canary": "no data of anybody's: tests/stream_jobs/test_canary.py judges it",
    "forecasts": "loaded by hand from files: nothing of silver is in it",
}
"""Table of gold → the reason why it has no rule."""


def gold_follows(lake: Location, *wanted: str) -> list[str]:
    """Every table of gold that a lake has is what silver gives; the keys that differ are named.

    Args: wanted: tables that must be there.
    """
    silver = silver_of(lake)
    there = [name for name in files.folders(lake / "gold") if table(lake, f"gold.{name}", []) is not None]
    found = [f"gold.{name} is not there" for name in wanted if name not in there]
    for name in there:
        if name in RULES:
            found += table_follows(lake, name, silver)
        elif name not in NOT_JUDGED:
            found.append(f"gold.{name}: no rule says what it must be, and no reason why not")
    return found


def table_follows(lake: Location, name: str, silver: Silver | None = None) -> list[str]:
    """One table of gold is what silver gives: the same columns, each key once, with the same values."""
    stored = table(lake, f"gold.{name}")
    if stored is None:
        return [f"gold.{name} is not there"]
    rule = RULES[name]
    computed = rule.rows(silver or silver_of(lake))
    expected = [{column: row[column] for column in row if column not in rule.without} for row in computed]
    if expected and (odd := set(stored.column_names) ^ set(expected[0])):
        return [f"gold.{name}: the columns {sorted(odd)} stand on one side only"]
    return differences(f"gold.{name}", rule.key, stored.to_pylist(), expected)


def differences(name: str, key: tuple[str, ...], stored: list[Row], expected: list[Row]) -> list[str]:
    """The differences of the rows of a table from the required ones; nothing when they are equal, in any order."""
    if content_hash(stored) == content_hash(expected):
        return []
    held, wanted = _keyed(stored, key), _keyed(expected, key)
    found = [f"{name}: key {each} stands {n} times" for each, n in _counted(stored, key).items() if n > 1]
    found += _named(name, "is missing", wanted.keys() - held.keys())
    found += _named(name, "should not be there", held.keys() - wanted.keys())
    wrong = {each: _unlike(held[each], wanted[each]) for each in held.keys() & wanted.keys()}
    ordered = sorted((each for each in wrong if wrong[each]), key=str)
    found += [f"{name}: key {each} is not what silver gives: {', '.join(wrong[each])}" for each in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        found.append(f"{name}: {len(ordered) - SHOWN} more keys are not what silver gives")
    return found


def content_hash(rows: Iterable[Row]) -> tuple[int, int]:
    """Of rows in any order, and of their columns in any."""
    return order_free_hash([(name, _plain(row[name])) for name in sorted(row)] for row in rows)


def silver_of(lake: Location) -> Silver:
    """A lake's revisions."""

    def revisions(dataset: str) -> list[Row]:
        rows = table(lake, f"silver.{dataset}_revisions")
        return [] if rows is None else [{name: utc(row[name]) for name in row} for row in rows.to_pylist()]

    return Silver(revisions)


def _keyed(rows: list[Row], key: tuple[str, ...]) -> dict[Key, Row]:
    return {tuple(_plain(row[name]) for name in key): row for row in rows}


def _counted(rows: list[Row], key: tuple[str, ...]) -> Counter[Key]:
    return Counter(tuple(_plain(row[name]) for name in key) for row in rows)


def _named(name: str, how: str, keys: Iterable[Key]) -> list[str]:
    ordered = sorted(keys, key=str)
    more = [f"{name}: {len(ordered) - SHOWN} more keys: {how}"] if len(ordered) > SHOWN else []
    return [f"{name}: key {each} {how}" for each in ordered[:SHOWN]] + more


def _unlike(stored: Row, expected: Row) -> list[str]:
    """The columns in which a row is not what it should be, with both values."""
    return [
        f"{name} is {stored.get(name)!r}, not {expected[name]!r}"
        for name in sorted(expected)
        if not _alike(stored.get(name), expected[name])
    ]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float | int) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """A value as it is compared: whatever a reader's zone of an instant, scale of a decimal or last bits of a float."""
    if isinstance(value, float):
        return float(f"{value:.9g}") + 0.0
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(utc(value)) if isinstance(value, datetime) else value
