"""The declared tables through the one writer of gold: Delta holds what a full run gives."""

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sinks import sql, tables
from sinks.recompute import GoldTarget, recompute
from sinks.transactions import Batch
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.tables import external_factors_daily, fact_weather_daily
from tests.controls import counted
from tests.stream_jobs.gold.memory_silver import MemorySilver, affected, hours_of, instant


class Lake:
    """One gold table on disk, fed batch by batch."""

    def __init__(self, spark: SparkSession, table: GoldTable, folder: Path) -> None:
        schema = spark.createDataFrame([], table.schema).schema
        self.spark, self.table, self.path = spark, table, str(folder / table.name)
        self.target = GoldTarget(table.name, self.path, table.keys, table.group, tuple(schema.names))
        tables.ensure(spark, self.path, schema, statistics_on=(*table.group, "known_from"))

    def feed(self, silver: MemorySilver, batch_id: int, groups: Groups) -> None:
        rows = self.table.recompute(silver, groups).toArrow()
        recompute(rows, groups.rows, self.target, Batch(f"gold.{self.table.name}", 1, batch_id))

    def rows(self) -> list[tuple[object, ...]]:
        return sorted(tuple(row) for row in self.spark.read.format("delta").load(self.path).collect())


@pytest.fixture
def lake(spark, tmp_path):
    return lambda table: Lake(spark, table, tmp_path)


MARCH = date(2024, 3, 1)
BAHIA = {"station_code": "A999", "valid_from_on": date(2024, 1, 1), "uf": "BA"}
ACRE = {**BAHIA, "uf": "AC", "known_from": instant("2025-02-01")}


def place_and_move(silver, weather, keep):
    """A station's day, and then metadata that put it two hours further west; `keep` chooses among the groups."""
    silver.add("inmet_stations", BAHIA)
    hour = {"station_code": "A999", "observed_at": instant("2024-03-01T04")}
    weather.feed(silver, 0, affected(weather.table, silver, {"inmet_hourly": silver.add("inmet_hourly", hour)}))
    assert [row[:2] for row in weather.rows()] == [("A999", MARCH)]
    moved = affected(weather.table, silver, {"inmet_stations": silver.add("inmet_stations", ACRE)})
    weather.feed(silver, 1, Groups(moved.spark, sql.table(f"FROM moved WHERE {keep}", moved=moved.rows)))


def test_a_row_whose_group_has_none_left_disappears(silver, lake):
    weather = lake(fact_weather_daily.TABLE)
    place_and_move(silver, weather, keep="true")
    assert [row[:2] for row in weather.rows()] == [("A999", date(2024, 2, 29))]


def test_control_without_the_group_that_it_leaves_the_row_would_stay(spark, tmp_path, control):
    def days(keep: str) -> list[str]:
        weather = Lake(spark, fact_weather_daily.TABLE, tmp_path / str(len(keep)))
        place_and_move(MemorySilver(spark), weather, keep=keep)
        return counted((f"{row[0]} {row[1]}" for row in weather.rows()), ["A999 2024-02-29"], "day")

    control.holds(days, "true")
    control.objects(days, "date_on < DATE'2024-03-01'", damage="day 'A999 2024-03-01' stands 1 times instead of 0")


def test_a_repeated_batch_and_a_later_equal_one_change_nothing(silver, lake):
    factors = lake(external_factors_daily.TABLE)
    hours = silver.add(
        "inmet_hourly", *hours_of("A401", MARCH, rain_mm=[0.1] * 24, air_temperature_celsius=[25.1] * 24)
    )
    groups = affected(factors.table, silver, {"inmet_hourly": hours})
    factors.feed(silver, 0, groups)
    before = factors.rows()
    assert [row[:4] for row in before] == [(MARCH, "2927408", "BA", "A401")]
    for batch_id in (0, 1):
        factors.feed(silver, batch_id, groups)
        assert factors.rows() == before
