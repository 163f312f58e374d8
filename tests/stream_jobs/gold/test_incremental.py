"""Recomputing what changed gives the table that DuckDB computes from scratch."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold import factor_changes, job
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import GoldTable, Input, discover
from stream_jobs.gold.tables import external_factors_daily, fact_5g_municipality, fact_weather_daily
from stream_jobs.silver import asof
from tests.seeds import seed_of
from tests.stream_jobs.gold.batch_oracle import Rows, from_scratch, keyed
from tests.stream_jobs.gold.changes import DRAW, change
from tests.stream_jobs.gold.lake_silver import LakeSilver, not_as_from_scratch
from tests.stream_jobs.gold.memory_silver import MemorySilver, affected, instant, named

TABLES = [table for table in discover().values() if isinstance(table, GoldTable)]
SEQUENCES = math.ceil(100 / len(TABLES))
"""Of each table, in `make test-faults`; `SEED=` draws others."""

PARTS = {external_factors_daily.TABLE.name: 1000}
"""Groups that are computed together where that is not all of them; else 40. A month has thousands of groups of
the factors."""

every_table = pytest.mark.parametrize("table", TABLES, ids=[table.name for table in TABLES])

Step = tuple[str, int]


def kinds_of(table: GoldTable) -> list[str]:
    """The changes that reach a table."""
    datasets = {given.dataset for given in table.inputs}
    return [kind for kind, (dataset, _) in DRAW.items() if dataset in datasets]


def drawn_sequence(spark, root, monkeypatch, table: GoldTable, number: int, *, most_batches: int) -> None:
    """A lake whose silver grows by changes that are drawn, in batches of any number of them, each followed by gold.

    Silver is read in the driver or by Spark, and groups are computed together or in parts.
    """
    print(f"SEED={(seed := seed_of(default=1))}, sequence {number}")  # shown when it fails
    choose = random.Random(f"{table.name} {seed} {number}")
    kinds, lake, part = kinds_of(table), LakeSilver(spark, root), PARTS.get(table.name, 40)
    for batch in range(choose.randint(2, most_batches)):
        # The first kind is what the table is about: without it there may be nothing to change.
        for kind in [*kinds[:1], *choose.choices(kinds, k=2)] if batch == 0 else choose.choices(kinds, k=2):
            change(lake, choose, kind)
            if choose.random() < 0.2:
                lake.make_void(DRAW[kind][0], choose)
        monkeypatch.setattr(asof, "MOST_LOCAL_ROWS", choose.choice([0, asof.MOST_LOCAL_ROWS]))
        monkeypatch.setattr(job, "MOST_GROUPS_AT_ONCE", choose.choice([part, job.MOST_GROUPS_AT_ONCE]))
        lake.follow(table)
        monkeypatch.undo()
    assert not_as_from_scratch(lake, table) == []


@every_table
def test_changes_in_any_order_give_the_table_computed_from_scratch(spark, tmp_path, monkeypatch, table):
    drawn_sequence(spark, tmp_path, monkeypatch, table, 0, most_batches=2)


@pytest.mark.slow
@every_table
@pytest.mark.parametrize("number", range(1, 1 + SEQUENCES))
def test_a_hundred_sequences_of_changes_give_the_tables_computed_from_scratch(
    spark, tmp_path, monkeypatch, table, number
):
    drawn_sequence(spark, tmp_path, monkeypatch, table, number, most_batches=4)


@pytest.mark.slow
def test_external_factors_follow_every_input_one_after_the_other(spark, tmp_path):
    """In an order in which one step does not hide what another should have recomputed."""
    table, lake = external_factors_daily.TABLE, LakeSilver(spark, tmp_path)
    # Seeds with which every kind shows in the end: a forecast day where no station observed, a year of broadband.
    steps = [
        ("periods", 0), ("hours", 1), ("licences", 2), ("quotations", 3), ("mobile", 4), ("reanalysis", 2),
        ("broadband", 8), ("population", 3), ("hours", 7), ("periods", 8), ("stations", 9), ("licences", 10),
        ("mobile", 11), ("reanalysis", 12), ("expectations", 13), ("expectations", 14),
    ]  # fmt: skip
    for kind, seed in steps:
        change(lake, random.Random(seed), kind)
        lake.follow(table)
    expected = from_scratch(table.name, lake)
    assert {row["weather_source"] for row in expected.values()} == {"inmet_hourly", "openmeteo_archive", None}
    assert {row["is_forecast"] for row in expected.values()} == {True, False}
    assert any(row["heavy_rain_days_30d"] and row["extreme_heat_days_30d"] for row in expected.values())
    assert any(row["stations_5g"] for row in expected.values())
    assert any(row["mobile_accesses_per_100"] for row in expected.values())
    assert any(row["broadband_growth_12m_percent"] is not None for row in expected.values())
    assert len({row["selic_expected_next_meeting_id"] for row in expected.values()}) > 1
    assert any(row["selic_expected_year_end_percent"] is not None for row in expected.values())
    assert not_as_from_scratch(lake, table) == []


def its_own_day(observations: DataFrame) -> DataFrame:
    """A widening that is too narrow: a value touches its own day. So does the weather, below."""
    touched = factor_changes.touched_by_observations(observations)
    return touched.where(F.col("date_on").isin([row["reference_on"] for row in observations.collect()]))


def the_hours_own_day(hours: DataFrame) -> DataFrame:
    """Leaves out that an hour is in the windows of the days after its own."""
    return factor_changes.touched_by_hours(hours).withColumn("lasting", F.lit(1))


def its_own_survey_day(expectations: DataFrame) -> DataFrame:
    """Leaves out that a survey counts until the next one is known."""
    touched = factor_changes.touched_by_expectations(expectations)
    return touched.where(F.col("date_on").isin([row["surveyed_on"] for row in expectations.collect()]))


def nothing(stations: DataFrame) -> DataFrame:
    """Metadata touch nothing."""
    return fact_weather_daily.touched_by_stations(stations).limit(0)


def no_licence(licences: DataFrame) -> DataFrame:
    """Nothing is touched, as above."""
    return factor_changes.touched_by_licences(licences).limit(0)


def its_own_month(accesses: DataFrame) -> DataFrame:
    """Leaves out the month after, whose change is against this one."""
    months = [row["reference_month_on"] for row in accesses.select("reference_month_on").distinct().collect()]
    return fact_5g_municipality.touched_by_accesses(accesses).where(F.col("reference_month_on").isin(months))


def with_groups(table: GoldTable, dataset: str, groups: Callable[[DataFrame], DataFrame]) -> GoldTable:
    """The table with another widening of one input."""
    others = (given for given in table.inputs if given.dataset != dataset)
    return replace(table, inputs=(*others, Input(dataset, groups)))


class LastStep:
    """A table that was right, and one change more. What Spark recomputes of it is recomputed once."""

    def __init__(self, table: GoldTable, silver: MemorySilver, steps: Sequence[Step]) -> None:
        for kind, seed in steps[:-1]:
            change(silver, random.Random(seed), kind)
        self._table, self._silver = table, silver
        self._before = from_scratch(table.name, silver)
        kind, seed = steps[-1]
        self._changes = change(silver, random.Random(seed), kind)
        self._expected = from_scratch(table.name, silver)
        groups = affected(table, silver, self._changes)
        self._named = named(groups)
        self._recomputed = keyed(table.keys, [row.asDict() for row in table.recompute(silver, groups).collect()])
        assert {self._group(key) for key in self._recomputed} <= self._named, "rows of groups that were not asked for"

    def wrong(self, widened_by: GoldTable) -> list[str]:
        """The keys that are not what scratch gives, when the groups that this table's inputs name are replaced."""
        touched = named(affected(widened_by, self._silver, self._changes))
        assert touched <= self._named, "groups that nobody recomputed"
        held: Rows = {key: row for key, row in self._before.items() if self._group(key) not in touched}
        held |= {key: row for key, row in self._recomputed.items() if self._group(key) in touched}
        wrong = [key for key in held | self._expected if held.get(key) != self._expected.get(key)]
        return [f"{widened_by.name}: {key} is not what scratch gives" for key in wrong]

    def _group(self, key: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(key[self._table.keys.index(column)] for column in self._table.group)


FACTORS = external_factors_daily.TABLE
CASES = {
    "deaf to metadata": (fact_weather_daily.TABLE, "inmet_stations", nothing, ("hours", "first metadata")),
    "no windows of weather": (FACTORS, "inmet_hourly", the_hours_own_day, ("hours", "hours")),
    "no windows": (FACTORS, "bcb_sgs", its_own_day, ("hours", "quotations")),
    "no carrying": (FACTORS, "bcb_sgs", its_own_day, ("hours", "periods")),
    "a survey of one day": (FACTORS, "bcb_focus", its_own_survey_day, ("hours", "quotations", "expectations")),
    "deaf to licences": (FACTORS, "anatel_base_stations", no_licence, ("hours", "hours", "licences", "licences")),
    "deaf to the month after": (fact_5g_municipality.TABLE, "anatel_mobile_accesses", its_own_month, ("mobile",) * 4),
}
"""Table, dataset, a wrong widening of it, and changes of which the last one is widened wrongly."""

IN_MAKE_TEST = {"deaf to metadata", "no windows", "deaf to the month after"}
"""One of each table; a computation of the factors takes some ten seconds, so the others are `make test-faults`'s."""


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in IN_MAKE_TEST else pytest.mark.slow)
        for name, case in CASES.items()
    ],
)
def test_control_a_widening_that_misses_a_group_is_found(silver, control, case):
    """Negative control of the tests above: the last change reaches fewer groups than it touches."""
    table, dataset, widening, steps = case
    last = LastStep(table, silver, [(kind, number) for number, kind in enumerate(steps)])
    control.holds(last.wrong, table)
    control.objects(last.wrong, with_groups(table, dataset, widening), damage="is not what scratch gives")


def test_a_row_whose_hours_move_to_another_day_vanishes(silver):
    """03:00 UTC is the new day in Bahia and still the old one in Acre."""
    table = fact_weather_daily.TABLE
    place = {"station_code": "A999", "valid_from_on": date(2024, 1, 1)}
    hour = {"station_code": "A999", "observed_at": instant("2024-02-02T03")}

    def days(groups: Groups) -> set[tuple[str, date]]:
        return {(row.station_code, row.date_on) for row in table.recompute(silver, groups).collect()}

    silver.add("inmet_stations", {**place, "uf": "BA"})
    groups = affected(table, silver, {"inmet_hourly": silver.add("inmet_hourly", hour)})
    assert days(groups) == {("A999", date(2024, 2, 2))}

    moved = silver.add("inmet_stations", {**place, "uf": "AC", "known_from": instant("2025-02-01")})
    groups = affected(table, silver, {"inmet_stations": moved})
    assert ("A999", date(2024, 2, 2)) in named(groups)
    assert days(groups) == {("A999", date(2024, 2, 1))}
