"""Silver in memory: revisions as dictionaries, read as gold reads them."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from schemas.contracts import load
from sinks.arrow_frames import frame_of_tuples
from sinks.snapshot import OPERATORS, Filter
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
        return self._frame(_columns(dataset), stored[len(stored) - len(rows) :])

    def revisions(self, dataset: str) -> DataFrame:
        return self._frame(_columns(dataset), self.rows[dataset])

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
        key = load(dataset).key
        newest: dict[tuple[Any, ...], Row] = {}
        first: dict[tuple[Any, ...], datetime] = {}
        for row in sorted(self._passing(dataset, within), key=lambda row: (row["known_from"], row["kafka_offset"])):
            of = tuple(row.get(name) for name in key)
            newest[of] = row
            # Only a series publishes periods without a value; every other row holds something.
            if not row["is_withdrawn"] and (dataset != "bcb_sgs" or row.get("value") is not None):
                first.setdefault(of, row["known_from"])
        schema = _columns(dataset).add("first_known_from", "timestamp")
        rows = ({**row, "first_known_from": first.get(of)} for of, row in newest.items())
        found = self._frame(schema, [row for row in rows if withdrawn or not row["is_withdrawn"]])
        if columns is None:
            return found
        place = ("known_from", "first_known_from", "published_at_basis", "kafka_offset", "is_withdrawn")
        return found.select(*key, *columns, *place)

    def versions(self, dataset: str, *, columns: Sequence[str]) -> DataFrame:
        return self.revisions(dataset).select(*load(dataset).key, *columns, "known_from")

    def cached(
        self, name: str, datasets: Sequence[str], build: Callable[[], DataFrame], *, of: Hashable = None
    ) -> DataFrame:
        return local_frame(self.spark, build().toArrow())

    def _passing(self, dataset: str, within: Sequence[Filter]) -> list[Row]:
        """The revisions that every filter lets pass."""
        return [row for row in self.rows[dataset] if all(_passes(row.get(name), *test) for name, *test in within)]

    def _frame(self, schema: StructType, rows: list[Row]) -> DataFrame:
        """One task, as the pipeline's own frames of few rows: a plan over such frames exchanges no data."""
        values = (tuple(row.get(name) for name in schema.names) for row in rows)
        return frame_of_tuples(self.spark, values, schema).coalesce(1)


def _passes(value: Any, sign: str, wanted: Any) -> bool:
    """Whether one value passes a filter; nothing never does."""
    return value is not None and (value in wanted if sign == "in" else bool(OPERATORS[sign](value, wanted)))


def _columns(dataset: str) -> StructType:
    return silver_schema(load(dataset), revisions=True)


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
