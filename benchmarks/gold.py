"""`make bench-gold`: what one changed hour costs gold, in a lake of one year of 600 stations and in one of ten.

Both lakes are generated: silver's revisions of every hour, and the gold table as it was before the change. Then an hour
is revised, and the functions of the gold query run as in a batch: widen, recompute, merge. The claim is the ratio
between the lakes, measured in one run; the figures themselves belong to the machine.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from benchmarks.harness import report
from correnteza import spark as sessions
from correnteza.settings import Settings
from schemas.contracts import load
from sinks import tables
from sinks.transactions import Batch
from stream_jobs.asof import Derived, Known, Snapshots
from stream_jobs.columns import silver_schema
from stream_jobs.gold import external_factors_daily, fact_weather_daily
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.query import target_of, update
from stream_jobs.places import Places

STATIONS = 600
LAST_YEAR = 2024
CHANGES = 7
DATASET = "inmet_hourly"
CAPITAL = "A401"

_MONTH = """
    SELECT if(s = 0, 'A401', 'G' || lpad(s::VARCHAR, 3, '0')) AS station_code, h AS observed_at,
           0.0 AS rain_mm, 1000.0 AS pressure_hpa, 20 + (s + hour(h)) % 15 + 0.1 AS air_temperature_celsius,
           25 + (s + hour(h)) % 15 + 0.1 AS air_temperature_max_celsius,
           15 + (s + hour(h)) % 15 + 0.1 AS air_temperature_min_celsius, 80.0 AS relative_humidity_percent,
           2.0 AS wind_speed_m_s, 5.0 AS wind_gust_m_s, h + INTERVAL 33 DAY AS known_from,
           'assumed_lag' AS published_at_basis, 0 AS kafka_partition, epoch(h)::BIGINT * 1000 + s AS kafka_offset
    FROM generate_series($begin::TIMESTAMPTZ, $end::TIMESTAMPTZ - INTERVAL 1 HOUR, INTERVAL 1 HOUR) hours (h)
    CROSS JOIN range({stations}) stations (s)"""

_DAYS = """
    SELECT DISTINCT station_code, timezone('America/Sao_Paulo', observed_at)::DATE AS date_on,
           24::BIGINT AS hours_observed, 24::BIGINT AS rain_hours_observed,
           20.0 AS temperature_mean_celsius, true AS is_complete,
           max(known_from) OVER () AS known_from FROM month"""


def main() -> None:
    """Build both lakes, revise hours, print the cost and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=10, help="of the large lake; the small one has one")
    years = parser.parse_args().years
    with tempfile.TemporaryDirectory(prefix="bench-gold-") as folder:
        root = Path(folder)
        spark = sessions.start(Settings(home=root))
        try:
            rows = []
            lakes = {size: Places(str(root / f"{size}-years"), root, root) for size in (1, years)}
            hours = {size: _generate(spark, places, size) for size, places in lakes.items()}
            for table in (fact_weather_daily.TABLE, external_factors_daily.TABLE):
                # Once over for the JVM's sake; then the lakes by turns, so that a busy moment hits both.
                costs: dict[int, list[float]] = {size: [] for size in lakes}
                jobs = {size: _Job(spark, places, table) for size, places in lakes.items()}
                for number in range(CHANGES + 1):
                    for size, job in jobs.items():
                        seconds = job.change(number)
                        if number:
                            costs[size].append(seconds)
                medians = {size: statistics.median(each) for size, each in costs.items()}
                for size in lakes:
                    rows.append(
                        {
                            "table": table.name,
                            "years": size,
                            "hours_in_silver": hours[size],
                            "median_s": medians[size],
                            "slowest_s": max(costs[size]),
                            "against_one_year": medians[size] / medians[1],
                        }
                    )
        finally:
            spark.stop()
    report("gold", "One changed hour, revision to gold", rows)


class _Job:
    """The gold query of one table in one lake, by hand."""

    def __init__(self, spark: SparkSession, places: Places, table: GoldTable) -> None:
        self._spark, self._places, self._table = spark, places, table
        schema = spark.createDataFrame([], table.schema).schema
        path = places.table(f"gold.{table.name}")
        tables.ensure(spark, path, schema, statistics_on=(*table.group, "known_from"))
        self._target = target_of(table, path, schema)
        self._kept = Derived()

    def change(self, number: int) -> float:
        """Revise one hour of the last year; returns the seconds from the revision to gold."""
        moment = datetime(LAST_YEAR, 3, 1, 15, tzinfo=UTC) + timedelta(days=31 * number)
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
        revision.write.format("delta").mode("append").save(self._places.table(f"silver.{DATASET}_revisions"))
        began = time.monotonic()
        (hours,) = (each for each in self._table.inputs if each.dataset == DATASET)
        changed = hours.groups(revision)
        changed = changed if self._table.widen else changed.select(*self._table.group)
        silver = Known(self._spark, Snapshots(self._places), kept=self._kept)
        groups, _ = update(self._table, silver, changed, self._target, Batch(f"gold.{self._table.name}", 1, number))
        if not groups:
            raise SystemExit("nothing was recomputed")
        return time.monotonic() - began


def _generate(spark: SparkSession, places: Places, years: int) -> int:
    """Silver's hours and gold's days, a file per month; returns the hours."""
    schema = silver_schema(load(DATASET), revisions=True)
    path, gold = places.table(f"silver.{DATASET}_revisions"), places.table("gold.fact_weather_daily")
    table = fact_weather_daily.TABLE
    tables.ensure(spark, path, schema, statistics_on=("observed_at", "known_from", "kafka_offset"))
    days_schema = spark.createDataFrame([], table.schema).schema
    tables.ensure(spark, gold, days_schema, statistics_on=(*table.group, "known_from"))
    total = 0
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for year in range(LAST_YEAR - years + 1, LAST_YEAR + 1):
            for month in range(1, 13):
                begin = date(year, month, 1)
                end = date(year + month // 12, month % 12 + 1, 1)
                query = f"CREATE OR REPLACE TABLE month AS {_MONTH.format(stations=STATIONS)}"
                connection.execute(query, {"begin": str(begin), "end": str(end)})
                total += _append(connection.sql("FROM month").to_arrow_table(), path)
                _append(connection.sql(_DAYS).to_arrow_table(), gold)
    return total


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
