"""`make bench-gold`: what one changed hour costs gold, in a lake of one year of 600 stations and in one of ten.

The lakes are generated: silver's revisions of every hour, and both gold tables as they were before the change; the
factors of the 27 capitals are recomputed from these hours. A third lake is a copy of the one year's, aged
(`benchmarks/ageing.py`). Then an hour is revised, and the functions of the gold query run as in a batch: widen,
recompute, write the counts, merge. The claim is the ratio between the lakes, measured in one run; the figures
themselves belong to the machine.
"""

import argparse
import shutil
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from benchmarks.ageing import COMMITS, age
from benchmarks.harness import machine, report, spread
from correnteza import spark as sessions
from correnteza.settings import Settings
from schemas.contracts import load
from sinks import tables
from sinks.ops import quality
from sinks.recompute import Recomputed, recompute
from sinks.transactions import Batch
from stream_jobs.columns import silver_schema
from stream_jobs.gold.factor_changes import station_of
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.job import target_of, update
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.tables import external_factors_daily, fact_weather_daily
from stream_jobs.places import EXPECTATIONS, Places
from stream_jobs.silver.asof import FrameCache, Known, Snapshots

STATIONS = 600
LAST_YEAR = 2024
CHANGES = 7
DATASET = "inmet_hourly"
HOURS = f"silver.{DATASET}_revisions"
CAPITAL = "A401"
TABLES = (fact_weather_daily.TABLE, external_factors_daily.TABLE)

_MONTH = """
    SELECT coalesce($capitals[s + 1], 'G' || lpad(s::VARCHAR, 3, '0')) AS station_code, h AS observed_at,
           0.0 AS rain_mm, 1000.0 AS pressure_hpa, 20 + (s + hour(h)) % 15 + 0.1 AS air_temperature_celsius,
           25 + (s + hour(h)) % 15 + 0.1 AS air_temperature_max_celsius,
           15 + (s + hour(h)) % 15 + 0.1 AS air_temperature_min_celsius, 80.0 AS relative_humidity_percent,
           2.0 AS wind_speed_m_s, 5.0 AS wind_gust_m_s, h + INTERVAL 33 DAY AS known_from,
           'assumed_lag' AS published_at_basis, 0 AS kafka_partition, epoch(h)::BIGINT * 1000 + s AS kafka_offset
    FROM generate_series($begin::TIMESTAMPTZ, $end::TIMESTAMPTZ - INTERVAL 1 HOUR, INTERVAL 1 HOUR) hours (h)
    CROSS JOIN range($stations) stations (s)"""

_DAYS = """
    SELECT DISTINCT station_code, timezone('America/Sao_Paulo', observed_at)::DATE AS date_on,
           24::BIGINT AS hours_observed, 24::BIGINT AS rain_hours_observed,
           20.0 AS temperature_mean_celsius, true AS is_complete,
           max(known_from) OVER () AS known_from FROM month"""


def main() -> None:
    """Build the lakes, revise hours, print the cost and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=10, help="of the large lake; the small one has one")
    parser.add_argument("--runs", type=int, default=CHANGES, help="changes of each table in each lake")
    parser.add_argument("--commits", type=int, default=COMMITS, help="of each aged table")
    arguments = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory(prefix="bench-gold-") as folder:
        spark = sessions.start(Settings(home=Path(folder)))
        try:
            rows, aged = measure(spark, Path(folder), arguments.years, arguments.runs, arguments.commits)
        finally:
            spark.stop()
    report("gold", "One changed hour, revision to gold, seconds", rows, (aged, f"machine: {before}"))


def measure(spark: SparkSession, root: Path, years: int, runs: int, commits: int) -> tuple[list[dict[str, Any]], str]:
    """The figures of each table in each lake, and what the aged lake is, in words."""
    fresh, large = "1 year", f"{years} years"
    lakes = {name: Places(str(root / name), root, root) for name in (fresh, large, "1 year, aged")}
    hours = {name: _generate(spark, lakes[name], size) for name, size in ((fresh, 1), (large, years))}
    old = Path(lakes["1 year, aged"].lake)
    shutil.copytree(lakes[fresh].lake, old)
    _count_often(old.joinpath(*EXPECTATIONS.split(".")), commits)
    aged = age(old, (HOURS, *(f"gold.{table.name}" for table in TABLES), EXPECTATIONS), commits)
    rows = []
    for table in TABLES:
        jobs = {name: _Job(spark, places, table) for name, places in lakes.items()}
        seconds: dict[str, list[float]] = {name: [] for name in lakes}
        # Once over for the JVM's sake; then the lakes alternately, so that a busy moment hits all.
        for number in range(runs + 1):
            for name, job in jobs.items():
                took = job.change(number)
                seconds[name] += [took] if number else []
        for name, each in seconds.items():
            held = spread("seconds", each)
            ratio = held["seconds"] / spread("seconds", seconds[fresh])["seconds"]
            count = hours.get(name, hours[fresh])
            rows.append(
                {"candidate": f"{table.name}, {name}", "hours_in_silver": count, **held, "against_one_year": ratio}
            )
    return rows, aged


class _Job:
    """The gold query of one table in one lake, by hand."""

    def __init__(self, spark: SparkSession, places: Places, table: GoldTable) -> None:
        self._spark, self._places, self._table = spark, places, table
        quality.ensure(spark, places.table(EXPECTATIONS))
        schema = spark.createDataFrame([], table.schema).schema
        path = places.table(f"gold.{table.name}")
        tables.ensure(spark, path, schema, statistics_on=(*table.group, "known_from"))
        self._target = target_of(table, path, schema)
        self._cache = FrameCache()

    def fill(self, years: int) -> None:
        """Every capital-day of the hours that there are, as the first batch of a new lake writes them."""
        begin, end = date(LAST_YEAR - years + 1, 1, 1), date(LAST_YEAR, 12, 31)
        days = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
        codes = list(station_of())
        groups = pa.table({"date_on": sorted(days * len(codes)), "municipality_code": codes * len(days)})
        known = Known(self._spark, Snapshots(self._places))
        rows = self._table.recompute(known, Groups(self._spark, groups)).toArrow()
        recompute(rows, groups, self._target, Batch(f"gold.{self._table.name}", 0, 0))

    def change(self, number: int) -> float:
        """Revise one hour of the last year; returns the seconds from the revision to gold."""
        moment = datetime(LAST_YEAR, 3, 1, 15, tzinfo=UTC) + timedelta(days=31 * number % 280)
        schema = silver_schema(load(DATASET), revisions=True)
        values = {
            "station_code": CAPITAL,
            "observed_at": moment,
            "air_temperature_celsius": 30.0 + number,
            "air_temperature_max_celsius": 41.0,
            "known_from": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=len(self._table.columns) + number),
            "published_at_basis": "http_last_modified",
            "kafka_partition": 0,
            "kafka_offset": 1 << 60,
        }
        revision = self._spark.createDataFrame([tuple(values.get(name) for name in schema.names)], schema)
        revision.write.format("delta").mode("append").save(self._places.table(HOURS))
        began = time.monotonic()
        (hours,) = (each for each in self._table.inputs if each.dataset == DATASET)
        changed = hours.groups(revision)
        changed = changed if self._table.widen else changed.select(*self._table.group)
        silver = Known(self._spark, Snapshots(self._places), cache=self._cache)
        batch = Batch(f"gold.{self._table.name}", 1, number)

        def count(found: Recomputed) -> None:
            if not found.rows:
                raise SystemExit("nothing was recomputed")
            quality.write(
                self._places.table(EXPECTATIONS),
                batch.job,
                self._table.expectations,
                batch=batch,
                rows=found.rows,
                broken={**found.broken, quality.ANY: found.flawed},
                at=moment,
            )

        update(self._table, silver, changed, self._target, batch, count=count)
        return time.monotonic() - began


def _generate(spark: SparkSession, places: Places, years: int) -> int:
    """Silver's hours and gold's days, a file per month, and the factors of these hours; returns the hours."""
    schema = silver_schema(load(DATASET), revisions=True)
    path, gold = places.table(HOURS), places.table("gold.fact_weather_daily")
    table = fact_weather_daily.TABLE
    tables.ensure(spark, path, schema, statistics_on=("observed_at", "known_from", "kafka_offset"))
    days_schema = spark.createDataFrame([], table.schema).schema
    tables.ensure(spark, gold, days_schema, statistics_on=(*table.group, "known_from"))
    total, capitals = 0, sorted(station_of().values())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for year in range(LAST_YEAR - years + 1, LAST_YEAR + 1):
            for month in range(1, 13):
                begin = date(year, month, 1)
                end = date(year + month // 12, month % 12 + 1, 1)
                of_month = {"begin": str(begin), "end": str(end), "stations": STATIONS, "capitals": capitals}
                connection.execute(f"CREATE OR REPLACE TABLE month AS {_MONTH}", of_month)
                total += _append(connection.sql("FROM month").to_arrow_table(), path)
                _append(connection.sql(_DAYS).to_arrow_table(), gold)
    _Job(spark, places, external_factors_daily.TABLE).fill(years)
    return total


def _count_often(path: Path, batches: int) -> None:
    """Counts of so many batches before."""
    schema = DeltaTable(path).to_pyarrow_dataset().schema
    each = {"generation": 0, "expectation": quality.ANY, "rows": 1, "broken": 0, "evaluated_at": datetime.now(UTC)}
    names = [f"gold.{table.name}" for table in TABLES]
    rows = [{**each, "dataset": name, "query": name, "batch_id": number} for number in range(batches) for name in names]
    write_deltalake(path, pa.Table.from_pylist(rows, schema=schema), mode="append")


def _append(rows: pa.Table, path: str) -> int:
    """Append what there is of the table's columns; the others are null."""
    schema = DeltaTable(path).to_pyarrow_dataset().schema
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    write_deltalake(path, pa.table(columns, schema=schema), mode="append")
    return len(rows)


if __name__ == "__main__":
    main()
