"""`make bench-latency`: 1,000 station-hours a second for some minutes, from produce to the commit that shows them.

One driver runs every layer with its default settings, and has been under the same load for five minutes. A row's
produce time is its `published_at`; it is visible in bronze, and in silver's current table, with the first version whose
new files hold it, and in a gold table with the first version in which its station's day is as new as the row (of
`external_factors_daily`: of the capitals' stations). A version becomes visible when its log file appears.
Each minute gives percentiles of its own; the table has their median, least and greatest.
"""

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.driving import driver, wait
from benchmarks.harness import RESULTS, RUNS, TreeMeter, machine, report, together
from benchmarks.station_hours import ROWS_PER_SECOND, Load
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas.contracts import load_all
from schemas.registry import prove_compatibility
from stream_jobs.gold import reference

WARM_UP_SECONDS = 300
MEASURED_SECONDS = 60
DRAIN_SECONDS = 120
UTC_OFFSET = timedelta(hours=-3)  # the stations stand in São Paulo, in years without summer time
BRONZE, SILVER = "bronze/inmet_hourly", "silver/inmet_hourly"
GOLD = ("gold/fact_weather_daily", "gold/external_factors_daily")


def main() -> None:
    """Start everything, keep the load up, read the logs of the tables, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm-up", type=int, default=WARM_UP_SECONDS, help="seconds of load before the measured ones")
    parser.add_argument("--seconds", type=int, default=MEASURED_SECONDS)
    parser.add_argument("--runs", type=int, default=RUNS, help="of the measured seconds, one after the other")
    arguments = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        settings = Settings(home=Path(folder))
        stack = cleanup.enter_context(Stack(settings))
        settings = settings.model_copy(update=stack.endpoints)
        topics.apply(settings.bootstrap, load_all().values(), "")
        prove_compatibility(settings.registry)
        load_generator = Load(settings)
        load_generator.stations()
        RESULTS.mkdir(parents=True, exist_ok=True)
        running = cleanup.enter_context(driver(settings, RESULTS / "latency-driver.log", {}))
        wait((settings.lake_root / GOLD[-1] / "_delta_log").exists, "the driver's gold tables", DRAIN_SECONDS)
        load_generator.run(arguments.warm_up)
        with TreeMeter(running.pid) as meter:
            spans = [load_generator.run(arguments.seconds) for _ in range(arguments.runs)]
        expected = arguments.seconds * ROWS_PER_SECOND
        wait(
            lambda: len(_gold_latencies(settings, GOLD[0], *spans[-1])) == expected,
            f"every measured row in {GOLD[0]}",
            DRAIN_SECONDS,
        )
        capitals = {each.station_code for each in reference.capitals()}
        due = sum(row[0] in capitals for row in _silver_rows(settings, *spans[-1]))
        wait(
            lambda: len(_gold_latencies(settings, GOLD[1], *spans[-1])) == due,
            f"every measured row in {GOLD[1]}",
            DRAIN_SECONDS,
        )
        rows = together([_measure(settings, *span) for span in spans], "p50_s", "p99_s")
    cpu = meter.cost.cpu_seconds / arguments.seconds / arguments.runs
    memory = meter.cost.peak_bytes / 1e6
    notes = (
        f"{ROWS_PER_SECOND:,} rows/s for {arguments.runs} × {arguments.seconds} s after {arguments.warm_up} s of it",
        "every layer in one driver, default settings",
        f"the driver used {cpu:.2f} of {os.cpu_count()} cores meanwhile, and {memory:,.0f} MB at most",
        f"machine: {before}",
    )
    report("latency", "produce → visible, seconds", rows, notes)


def _measure(settings: Settings, first: int, last: int) -> list[dict[str, Any]]:
    found = {table: _latencies(settings, table, first, last) for table in (BRONZE, SILVER)}
    found |= {table: _gold_latencies(settings, table, first, last) for table in GOLD}
    rows = []
    for table, latencies in found.items():
        p50, p95, p99 = pc.quantile(pa.array(latencies), [0.5, 0.95, 0.99]).to_pylist()
        rows.append({"candidate": table, "rows": len(latencies), "p50_s": p50, "p95_s": p95, "p99_s": p99})
    return rows


def _latencies(settings: Settings, table: str, first: int, last: int) -> list[float]:
    """Seconds from produce to the version that shows it, per row of the measured minute."""
    return [visible_at - produced_at / 1e6 for produced_at, visible_at in produced_in(settings, table, first, last)]


def produced_in(settings: Settings, table: str, first: int, last: int) -> Iterator[tuple[int, float]]:
    """Produce time (microseconds since 1970) of every row of a span, and when a version that shows it came."""
    column = ["record", "published_at"] if table == BRONZE else ["published_at"]
    for visible_at, file in _added(settings, table):
        rows = pq.ParquetFile(file).read(columns=[".".join(column)])
        produced = rows.column(column[0])
        if table == BRONZE:
            produced = pc.struct_field(produced, "published_at")
        micros = produced.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
        yield from ((produced_at, visible_at) for produced_at in micros if first <= produced_at <= last)


def _gold_latencies(settings: Settings, table: str, first: int, last: int) -> list[float]:
    """As `_latencies`, by the first version in which the row's station-day has its `known_from` or a newer one.

    Only rows that silver holds and the table shows are counted.
    """
    visible: dict[tuple[str, date], list[tuple[float, int]]] = {}
    for visible_at, file in _added(settings, table):
        shown = pq.ParquetFile(file).read(columns=["station_code", "date_on", "known_from"])
        known = shown.column("known_from").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        for station, day, known_from in zip(
            shown["station_code"].to_pylist(), shown["date_on"].to_pylist(), known.to_pylist(), strict=True
        ):
            visible.setdefault((station, day), []).append((visible_at, known_from))
    found: list[float] = []
    for station, observed_at, micros in _silver_rows(settings, first, last):
        of_day = visible.get((station, (observed_at + UTC_OFFSET).date()), ())
        found += [at - micros / 1e6 for at, known_from in of_day if known_from >= micros][:1]
    return found


def _silver_rows(settings: Settings, first: int, last: int) -> Iterator[tuple[str, datetime, int]]:
    """Station, hour and produce time (microseconds since 1970) of the rows that were produced in a span."""
    for _, file in _added(settings, SILVER):
        rows = pq.ParquetFile(file).read(columns=["station_code", "observed_at", "published_at"])
        produced = rows.column("published_at").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
        for station, observed_at, micros in zip(
            rows["station_code"].to_pylist(), rows["observed_at"].to_pylist(), produced, strict=True
        ):
            if first <= micros <= last:
                yield station, observed_at, micros


def _added(settings: Settings, name: str) -> Iterator[tuple[float, Path]]:
    """(When its version became visible, data file) of every file ever added, oldest version first."""
    table = settings.lake_root / name
    for log in sorted((table / "_delta_log").glob("*.json")):
        for line in log.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                yield log.stat().st_mtime, table / action["add"]["path"]


if __name__ == "__main__":
    main()
