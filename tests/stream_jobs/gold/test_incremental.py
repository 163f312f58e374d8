"""Recomputing what changed gives the table that DuckDB computes from scratch."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold import external_factors_daily, fact_5g_municipality, fact_weather_daily, factor_changes
from stream_jobs.gold.model import GoldTable, Input, discover
from tests.stream_jobs.gold.batch_oracle import Rows, content_hash, from_scratch, keyed
from tests.stream_jobs.gold.changes import DRAW, change
from tests.stream_jobs.gold.memory_silver import MemorySilver, affected, instant

TABLES = [table for table in discover().values() if isinstance(table, GoldTable)]

Step = tuple[str, int]


def kinds_of(table: GoldTable) -> list[str]:
    """The changes that reach a table."""
    datasets = {given.dataset for given in table.inputs}
    return [kind for kind, (dataset, _) in DRAW.items() if dataset in datasets]


def incremental(table: GoldTable, silver: MemorySilver, steps: Sequence[Step]) -> Rows:
    """The table after each step's groups were replaced by their recomputed rows."""
    held: Rows = {}
    for kind, seed in steps:
        changes = change(silver, random.Random(seed), kind)
        groups = affected(table, silver, changes)
        named = {tuple(row) for row in groups.collect()}
        if not named:
            continue
        rows = keyed(table.keys, [row.asDict() for row in table.recompute(silver, groups).collect()])
        group_of = [table.keys.index(column) for column in table.group]
        recomputed = {tuple(key[place] for place in group_of) for key in rows}
        assert recomputed <= named, "rows of groups that were not asked for"
        held = {key: row for key, row in held.items() if tuple(key[place] for place in group_of) not in named} | rows
    return held


def assert_equal(held: Rows, expected: Rows) -> None:
    """Compared by hash; a difference is shown row by row."""
    if content_hash(held) != content_hash(expected):
        assert held == expected


# Spark needs a second or so per step, so there are few examples; they are the same in every run.
few = settings(max_examples=3, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])
@few
@given(data=st.data())
def test_changes_in_any_order_give_the_table_computed_from_scratch(spark, table, data):
    kinds = kinds_of(table)
    step = st.tuples(st.sampled_from(kinds), st.integers(0, 999))
    steps = [(kind, 1) for kind in kinds[:1]] + data.draw(st.lists(step, min_size=2, max_size=4))
    silver = MemorySilver(spark)
    assert_equal(incremental(table, silver, steps), from_scratch(table.name, silver))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_external_factors_follow_every_input_one_after_the_other(silver):
    """In an order in which one step does not hide what another should have recomputed."""
    table = external_factors_daily.TABLE
    # Seeds with which every kind shows in the end: a forecast day where no station observed, a year of broadband.
    steps = [
        ("periods", 0), ("hours", 1), ("licences", 2), ("quotations", 3), ("mobile", 4), ("reanalysis", 2),
        ("broadband", 8), ("population", 3), ("hours", 7), ("periods", 8), ("stations", 9), ("licences", 10),
        ("mobile", 11), ("reanalysis", 12), ("expectations", 13), ("expectations", 14),
    ]  # fmt: skip
    held = incremental(table, silver, steps)
    expected = from_scratch(table.name, silver)
    assert {row["weather_source"] for row in expected.values()} == {"inmet_hourly", "openmeteo_archive", None}
    assert {row["is_forecast"] for row in expected.values()} == {True, False}
    assert any(row["heavy_rain_days_30d"] and row["extreme_heat_days_30d"] for row in expected.values())
    assert any(row["stations_5g"] for row in expected.values())
    assert any(row["mobile_accesses_per_100"] for row in expected.values())
    assert any(row["broadband_growth_12m_percent"] is not None for row in expected.values())
    assert len({row["selic_expected_next_meeting_id"] for row in expected.values()}) > 1
    assert any(row["selic_expected_year_end_percent"] is not None for row in expected.values())
    assert_equal(held, expected)


def its_own_day(observations: DataFrame) -> DataFrame:
    """A widening as somebody might write it at first: a value touches its own day. So does the weather, below."""
    touched = factor_changes.touched_by_observations(observations)
    return touched.where(F.col("date_on").isin([row["reference_on"] for row in observations.collect()]))


def the_hours_own_day(hours: DataFrame) -> DataFrame:
    """Forgets that an hour is in the windows of the days after its own."""
    return factor_changes.touched_by_hours(hours).withColumn("lasting", F.lit(1))


def its_own_survey_day(expectations: DataFrame) -> DataFrame:
    """Forgets that a survey counts until the next one is known."""
    touched = factor_changes.touched_by_expectations(expectations)
    return touched.where(F.col("date_on").isin([row["surveyed_on"] for row in expectations.collect()]))


def nothing(stations: DataFrame) -> DataFrame:
    """Deaf: metadata touch nothing."""
    return fact_weather_daily.touched_by_stations(stations).limit(0)


def its_own_month(accesses: DataFrame) -> DataFrame:
    """Forgets the month after, whose change is against this one."""
    months = [row["reference_month_on"] for row in accesses.select("reference_month_on").distinct().collect()]
    return fact_5g_municipality.touched_by_accesses(accesses).where(F.col("reference_month_on").isin(months))


def with_groups(table: GoldTable, dataset: str, groups: Callable[[DataFrame], DataFrame]) -> GoldTable:
    """The table with another widening of one input."""
    others = (given for given in table.inputs if given.dataset != dataset)
    return replace(table, inputs=(*others, Input(dataset, groups)))


def test_control_a_widening_that_misses_a_group_is_noticed(silver, table, dataset, widening, steps, control):
    history = [(kind, number) for number, kind in enumerate(steps)]

    def behind(followed: GoldTable, silver: MemorySilver) -> list[str]:
        held, whole = incremental(followed, silver, history), from_scratch(table.name, silver)
        keys = [key for key in held.keys() | whole.keys() if held.get(key) != whole.get(key)]
        return [f"{table.name}: {len(keys)} rows are not what silver gives"] if keys else []

    control.holds(behind, table, MemorySilver(silver.spark))
    control.objects(behind, with_groups(table, dataset, widening), silver, damage="rows are not what silver gives")


def test_control_a_month_that_its_predecessor_changed_is_noticed(silver, control):
    """Without the month after, a change of coverage stays what it was."""
    history = [("mobile", seed) for seed in range(4)]
    whole = incremental(fact_5g_municipality.TABLE, MemorySilver(silver.spark), history)

    def behind(followed: GoldTable, silver: MemorySilver) -> list[str]:
        held = incremental(followed, silver, history)
        keys = [key for key in held.keys() | whole.keys() if held.get(key) != whole.get(key)]
        return [f"coverage of {len(keys)} months is not what silver gives"] if keys else []

    control.holds(behind, fact_5g_municipality.TABLE, MemorySilver(silver.spark))
    table = with_groups(fact_5g_municipality.TABLE, "anatel_mobile_accesses", its_own_month)
    control.objects(behind, table, silver, damage="months is not what silver gives")


def test_a_row_whose_hours_move_to_another_day_vanishes(silver):
    """03:00 UTC is the new day in Bahia and still the old one in Acre."""
    table = fact_weather_daily.TABLE
    place = {"station_code": "A999", "valid_from_on": date(2024, 1, 1)}
    hour = {"station_code": "A999", "observed_at": instant("2024-02-02T03")}

    def days(groups: DataFrame) -> set[tuple[str, date]]:
        return {(row.station_code, row.date_on) for row in table.recompute(silver, groups).collect()}

    silver.add("inmet_stations", {**place, "uf": "BA"})
    groups = affected(table, silver, {"inmet_hourly": silver.add("inmet_hourly", hour)})
    assert days(groups) == {("A999", date(2024, 2, 2))}

    moved = silver.add("inmet_stations", {**place, "uf": "AC", "known_from": instant("2025-02-01")})
    groups = affected(table, silver, {"inmet_stations": moved})
    assert ("A999", date(2024, 2, 2)) in {tuple(row) for row in groups.collect()}
    assert days(groups) == {("A999", date(2024, 2, 1))}
