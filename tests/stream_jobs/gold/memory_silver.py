"""Silver in memory: revisions as dictionaries, read as gold reads them."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812

from schemas.contracts import load
from sinks.arrow_frames import frame_of_tuples
from sinks.snapshot import Filter, predicate
from stream_jobs.columns import silver_schema
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.job import groups_touched
from stream_jobs.gold.model import GoldTable
from stream_jobs.silver.asof import local_frame

Row = dict[str, Any]


def instant(text: str) -> datetime:
    """`2024-01-01T03` → that hour, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def utc(collected: datetime) -> datetime:
    """A collected timestamp, which Spark gives as the local time of whoever runs the tests, as an instant."""
    return collected.astimezone(UTC)


class MemorySilver:
    """Revisions that a test writes down; `newest` by definition, not by the pipeline's code."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.rows: dict[str, list[Row]] = defaultdict(list)

    def add(self, dataset: str, *rows: Row) -> DataFrame:
        """Append revisions; later ones have greater offsets. Returns just the new ones."""
        stored = self.rows[dataset]
        for row in rows:
            basis = {"published_at_basis": "http_last_modified", "kafka_partition": 0, "kafka_offset": len(stored)}
            stored.append({"known_from": instant("2025-01-10"), "is_withdrawn": False, **basis, **row})
        return self._frame(dataset, stored[len(stored) - len(rows) :])

    def revisions(self, dataset: str) -> DataFrame:
        return self._frame(dataset, self.rows[dataset])

    def as_of(self, origin: datetime) -> "MemorySilver":
        """What was known at an instant."""
        past = MemorySilver(self.spark)
        for dataset, rows in self.rows.items():
            past.rows[dataset] = [row for row in rows if row["known_from"] <= origin]
        return past

    vintage = ()

    def newest(
        self,
        dataset: str,
        *,
        within: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        withdrawn: bool = False,
    ) -> DataFrame:
        key = Window.partitionBy(*load(dataset).key)
        rows = self.revisions(dataset).where(predicate(within))
        order = key.orderBy(F.desc("known_from"), F.desc("kafka_offset"))
        # Only a series publishes periods without a value; every other row holds something.
        told = "NOT is_withdrawn AND value IS NOT NULL" if dataset == "bcb_sgs" else "NOT is_withdrawn"
        first = rows.withColumn("first_known_from", F.min(F.when(F.expr(told), F.col("known_from"))).over(key))
        newest = first.withColumn("rank", F.row_number().over(order)).where("rank = 1").drop("rank")
        if not withdrawn:
            newest = newest.where("NOT is_withdrawn")
        if columns is None:
            return newest
        place = ("known_from", "first_known_from", "published_at_basis", "kafka_offset", "is_withdrawn")
        return newest.select(*load(dataset).key, *columns, *place)

    def versions(self, dataset: str, *, columns: Sequence[str]) -> DataFrame:
        return self.revisions(dataset).select(*load(dataset).key, *columns, "known_from")

    def cached(
        self, name: str, datasets: Sequence[str], build: Callable[[], DataFrame], *, of: Hashable = None
    ) -> DataFrame:
        return local_frame(self.spark, build().toArrow())

    def _frame(self, dataset: str, rows: list[Row]) -> DataFrame:
        schema = silver_schema(load(dataset), revisions=True)
        return frame_of_tuples(self.spark, (tuple(row.get(name) for name in schema.names) for row in rows), schema)


def affected(table: GoldTable, silver: MemorySilver, changes: dict[str, DataFrame]) -> Groups:
    """The groups that new revisions touch, as the gold query finds them."""
    frames = [given.groups(changes[given.dataset]) for given in table.inputs if given.dataset in changes]
    return groups_touched(table, silver, reduce(DataFrame.unionByName, frames))


def named(groups: Groups) -> set[tuple[Any, ...]]:
    """The groups as tuples."""
    return set(zip(*groups.rows.to_pydict().values(), strict=True))


@pytest.fixture
def silver(spark: SparkSession) -> MemorySilver:
    return MemorySilver(spark)


@pytest.fixture
def frame(spark: SparkSession) -> Callable[..., DataFrame]:
    """`frame("a INT, b DATE", (1, None))`."""
    return lambda schema, *rows: frame_of_tuples(spark, rows, schema)


def hours_of(station: str, day: date, time_zone_hours: int = -3, **values: list[Any]) -> list[Row]:
    """24 rows of hours of one civil day; `values` gives a column's first values, the rest is null."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=time_zone_hours)
    return [
        {"station_code": station, "observed_at": midnight + timedelta(hours=hour)}
        | {name: series[hour] for name, series in values.items() if hour < len(series)}
        for hour in range(24)
    ]
