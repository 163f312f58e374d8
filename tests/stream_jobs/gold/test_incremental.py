"""Recomputing what changed gives the table that recomputing everything gives, to the last bit."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold import external_factors_daily, fact_weather_daily
from stream_jobs.gold.model import GoldTable, Input
from stream_jobs.gold.reference import capitals
from tests.stream_jobs.gold.memory_silver import MemorySilver, Row, affected, instant

FIRST_ON, DAYS = date(2024, 2, 1), 50
STATIONS = ("A401", "A104", "A999")  # Salvador, Rio Branco, and one that only its metadata places

TABLES = (fact_weather_daily.TABLE, external_factors_daily.TABLE)

Content = dict[tuple[Any, ...], tuple[Any, ...]]


def some_hours(rng: random.Random) -> Iterator[Row]:
    for _ in range(60):
        at = datetime.combine(FIRST_ON, datetime.min.time()) + timedelta(hours=rng.randrange(24 * DAYS))
        yield {
            "station_code": rng.choice(STATIONS),
            "observed_at": instant(at.isoformat()),
            "air_temperature_celsius": rng.choice([None, round(rng.uniform(18, 36), 1)]),
            "air_temperature_max_celsius": round(rng.uniform(18, 40), 1),
            "relative_humidity_percent": float(rng.randrange(101)),
            "rain_mm": rng.choice([None, 0.0, round(rng.uniform(0, 90), 1)]),
        }


def some_stations(rng: random.Random) -> Iterator[Row]:
    for code in rng.sample(STATIONS, rng.randrange(1, 3)):
        valid_from_on = date(rng.choice([2023, 2024]), 1, 1)
        yield {"station_code": code, "valid_from_on": valid_from_on, "uf": rng.choice(["BA", "AC", "AM", None])}


def first_metadata(_: random.Random) -> Iterator[Row]:
    yield {"station_code": "A999", "valid_from_on": date(2022, 1, 1), "uf": "BA"}


def some_quotations(rng: random.Random) -> Iterator[Row]:
    for series, least, most in ((1, 4, 6), (432, 9, 12)):
        for _ in range(6):
            on = FIRST_ON + timedelta(days=rng.randrange(-45, DAYS + 5))
            yield {"series_code": series, "reference_on": on, "value": Decimal(str(round(rng.uniform(least, most), 4)))}


def some_months(rng: random.Random) -> Iterator[Row]:
    for number in rng.sample(range(16), rng.randrange(4, 14)):
        month = date(2022 + (11 + number) // 12, (11 + number) % 12 + 1, 1)  # from December 2022 on
        value = rng.choice([None, "0.1", "0.83", "-0.08", "0.5"])
        yield {"series_code": 433, "reference_on": month, "value": value and Decimal(value)}


DRAW = {
    "hours": ("inmet_hourly", some_hours),
    "first metadata": ("inmet_stations", first_metadata),
    "stations": ("inmet_stations", some_stations),
    "quotations": ("bcb_sgs", some_quotations),
    "months": ("bcb_sgs", some_months),
}
# In an order in which one step does not hide what another should have recomputed.
STEPS = ("months", "hours", "first metadata", "quotations", "hours", "months", "stations", "quotations")


def step(silver: MemorySilver, rng: random.Random, kind: str) -> dict[str, DataFrame]:
    """Some new revisions, known at any time: newer and older than those there are."""
    dataset, draw = DRAW[kind]
    rows = list(draw(rng))
    for row in rows:
        row["known_from"] = instant("2024-01-05") + timedelta(days=rng.randrange(60), minutes=rng.randrange(999))
    return {dataset: silver.add(dataset, *rows)}


def content(table: GoldTable, rows: DataFrame) -> Content:
    found = [row.asDict() for row in rows.collect()]
    keyed = {tuple(row[key] for key in table.keys): tuple(row.values()) for row in found}
    assert len(keyed) == len(found), "a key twice"
    return keyed


def incremental(table: GoldTable, silver: MemorySilver, seed: int, steps: Sequence[str] = STEPS) -> Content:
    """The table after each step's groups were replaced by their recomputed rows."""
    rng, held = random.Random(seed), {}
    for kind in steps:
        changes = step(silver, rng, kind)
        if changes.keys().isdisjoint(given.dataset for given in table.inputs):
            continue
        groups = affected(table, silver, changes)
        named = {tuple(row) for row in groups.collect()}
        if not named:
            continue
        rows = content(table, table.recompute(silver, groups))
        assert rows.keys() <= named, "rows of groups that were not asked for"
        held = {key: row for key, row in held.items() if key not in named} | rows
    return held


def from_scratch(table: GoldTable, silver: MemorySilver) -> Content:
    """Every day that can have a row, without asking what changed."""
    every_day = [FIRST_ON + timedelta(days=n) for n in range(-1, DAYS + 1)]
    scope = STATIONS if table.group[0] == "station_code" else [capital.municipality_code for capital in capitals()]
    pairs = [(place, day) if table.group[0] == "station_code" else (day, place) for place in scope for day in every_day]
    types = {"station_code": "STRING", "municipality_code": "STRING", "date_on": "DATE"}
    schema = ", ".join(f"{column} {types[column]}" for column in table.group)
    return content(table, table.recompute(silver, silver.spark.createDataFrame(pairs, schema)))


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
def test_changed_groups_in_any_order_give_the_table_of_a_full_run(silver, table):
    held = incremental(table, silver, seed=2)
    expected = from_scratch(table, silver)
    assert len(expected) > DAYS // 2
    assert held == expected


def its_own_day(observations: DataFrame) -> DataFrame:
    """A widening as somebody might write it at first: a value touches its own day."""
    touched = external_factors_daily.touched_by_observations(observations)
    return touched.where(F.col("date_on").isin([row["reference_on"] for row in observations.collect()]))


def nothing(stations: DataFrame) -> DataFrame:
    """Deaf: metadata touch nothing."""
    return fact_weather_daily.touched_by_stations(stations).limit(0)


def with_groups(table: GoldTable, dataset: str, groups: Callable[[DataFrame], DataFrame]) -> GoldTable:
    """The table with another widening of one input."""
    others = (given for given in table.inputs if given.dataset != dataset)
    return replace(table, inputs=(*others, Input(dataset, groups)))


@pytest.mark.parametrize(
    ("table", "dataset", "widening", "last_step"),
    [
        (fact_weather_daily.TABLE, "inmet_stations", nothing, "first metadata"),
        (external_factors_daily.TABLE, "bcb_sgs", its_own_day, "quotations"),
        (external_factors_daily.TABLE, "bcb_sgs", its_own_day, "months"),
    ],
    ids=["deaf to metadata", "no windows", "no carrying"],
)
def test_a_widening_that_misses_a_group_is_noticed(silver, table, dataset, widening, last_step):
    """Negative control of the test above."""
    broken = with_groups(table, dataset, widening)
    held = incremental(broken, silver, seed=1, steps=("hours", last_step))
    assert held != from_scratch(broken, silver)


def test_a_row_whose_hours_move_to_another_day_vanishes(silver):
    """03:00 UTC is the new day in Bahia and still the old one in Acre."""
    table = fact_weather_daily.TABLE
    place = {"station_code": "A999", "valid_from_on": date(2024, 1, 1)}
    hour = {"station_code": "A999", "observed_at": instant("2024-02-02T03")}
    silver.add("inmet_stations", {**place, "uf": "BA"})
    groups = affected(table, silver, {"inmet_hourly": silver.add("inmet_hourly", hour)})
    assert content(table, table.recompute(silver, groups)).keys() == {("A999", date(2024, 2, 2))}

    moved = silver.add("inmet_stations", {**place, "uf": "AC", "known_from": instant("2025-02-01")})
    groups = affected(table, silver, {"inmet_stations": moved})
    assert ("A999", date(2024, 2, 2)) in {tuple(row) for row in groups.collect()}
    assert content(table, table.recompute(silver, groups)).keys() == {("A999", date(2024, 2, 1))}


def test_as_known_at_an_instant_no_row_knows_more(silver):
    rng = random.Random(3)
    for kind in DRAW:
        step(silver, rng, kind)
    origin = instant("2024-02-10")
    known = [row[-1] for row in from_scratch(external_factors_daily.TABLE, silver.as_of(origin)).values()]
    assert known
    assert all(at.astimezone(origin.tzinfo) <= origin for at in known)
    later = [row[-1] for row in from_scratch(external_factors_daily.TABLE, silver).values()]
    assert any(at.astimezone(origin.tzinfo) > origin for at in later), "the control: today's rows do"
