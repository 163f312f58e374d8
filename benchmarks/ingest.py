"""`make bench-ingest`: one million records of about 190 bytes, preloaded in four partitions, into bronze.

Beside it, in the same run and on the same topic: a raw consumer (the limit) and a consumer written by hand on delta-rs
with transaction actions (what people write today). Every candidate is a process of its own, and runs several times, by
turns; the broker's CPU is not counted, it is the same for all.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.generator import CONTRACT, framed
from benchmarks.harness import RUNS, TreeMeter, machine, report, run_candidate, together
from correnteza import spark as sessions
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.places import places
from correnteza.settings import Settings
from schemas.contracts import load_all
from schemas.registry import Registry
from sinks.locks import TableLocks
from stream_jobs.bronze.job import Broker, BronzeJob
from stream_jobs.bronze.known_schemas import KnownSchemas
from stream_jobs.places import SCHEMAS
from stream_jobs.running.jobs import Driver
from stream_jobs.running.supervisor import drain

ROWS = 1_000_000
WARM_UP_ROWS = 200_000
WARM_UPS = 2


def main() -> None:
    """Preload, run every candidate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each candidate")
    parser.add_argument("--bronze", action="store_true", help="run only the pipeline's candidate, on running services")
    arguments = parser.parse_args()
    if arguments.bronze:
        _bronze()
        return
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        with Stack(settings) as stack:
            settings = settings.model_copy(update=stack.endpoints)
            bytes_per_record = preload(settings, "", arguments.rows)
            for number in range(WARM_UPS):
                preload(settings, f"warm{number}.", WARM_UP_ROWS)
            runs = [_run(settings, Path(folder) / str(number)) for number in range(arguments.runs)]
    rows = compared(runs)
    notes = (
        f"{arguments.rows:,} records of {bytes_per_record:.0f} bytes in {CONTRACT.partitions} partitions; "
        f"each candidate reads all, from the first record to its last commit; medians of {arguments.runs} runs",
        f"correnteza: in a JVM warmed by {WARM_UPS} × {WARM_UP_ROWS:,} records of other topics; from the start of its "
        f"process to the end of the first of these: {rows[-1]['cold_seconds']:.1f} s",
        f"machine: {before}",
    )
    report("ingest", "Kafka to bronze", [{k: v for k, v in row.items() if k != "cold_seconds"} for row in rows], notes)


def compared(runs: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The candidates' medians, and each against what is written by hand. Args: runs: each with every candidate."""
    rows = together(runs, "rows_per_second")
    reference = next(row for row in rows if row["candidate"] == "by hand")
    for row in rows:
        row["rows_per_second_against_by_hand"] = row["rows_per_second"] / reference["rows_per_second"]
        row["cpu_against_by_hand"] = row["cpu_seconds_per_million_rows"] / reference["cpu_seconds_per_million_rows"]
    return rows


def _run(settings: Settings, home: Path) -> list[dict[str, Any]]:
    """Each candidate once, in a home that nothing stands in yet."""
    return [_measured(name, settings, home) for name in ("raw consumer", "by hand", "correnteza")]


def preload(settings: Settings, prefix: str, rows: int) -> float:
    """Create the topics and fill the benchmark's; returns bytes per value."""
    topics.apply(settings.bootstrap, load_all().values(), prefix)
    schema_id = Registry(settings.registry).register(load_all().values(), prefix)[CONTRACT.name]
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
        }
    )
    size = 0
    for number, (key, value) in enumerate(framed(rows, schema_id)):
        producer.produce(prefix + CONTRACT.topic, value, key)
        size += len(value)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()
    return size / rows


def _measured(name: str, settings: Settings, home: Path) -> dict[str, Any]:
    peer = ["--bootstrap", settings.bootstrap, "--topic", CONTRACT.topic]
    addresses = {
        "CORRENTEZA_HOME": str(home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
    }
    began = time.time()
    found = {
        "raw consumer": lambda: run_candidate("benchmarks.peers", peer, {}),
        "by hand": lambda: run_candidate("benchmarks.peers", [*peer, "--table", f"{home}/by-hand"], {}),
        "correnteza": lambda: run_candidate("benchmarks.ingest", ["--bronze"], addresses),
    }[name]()
    return {
        "candidate": name,
        "rows": found["rows"],
        "seconds": found["seconds"],
        "rows_per_second": found["rows"] / found["seconds"],
        "cpu_seconds_per_million_rows": found["cpu_seconds"] / found["rows"] * 1e6,
        "peak_mb": found["peak_bytes"] / 1e6,
        **({"cold_seconds": found["cold_at"] - began} if "cold_at" in found else {}),
    }


def _bronze() -> None:
    """The pipeline's own bronze query, warmed, then measured; prints JSON."""
    settings = Settings()
    spark = sessions.start(settings)
    for number in range(WARM_UPS):
        _drain(spark, settings, f"warm{number}.")
        if number == 0:
            cold_at = time.time()
    with TreeMeter() as meter:
        began = time.perf_counter()
        rows = _drain(spark, settings, "")
        seconds = time.perf_counter() - began
    cost = meter.cost
    print(
        json.dumps(
            {
                "rows": rows,
                "seconds": seconds,
                "cpu_seconds": cost.cpu_seconds,
                "peak_bytes": cost.peak_bytes,
                "cold_at": cold_at,
            }
        )
    )
    spark.stop()


def _drain(spark: Any, settings: Settings, prefix: str) -> int:
    """Bring one prefix's topic to bronze; returns the rows."""
    home = settings.model_copy(update={"home": settings.home / f"bronze-{prefix}"})
    where = places(home)
    locks = TableLocks(spark, where.locks)
    known = KnownSchemas(spark, where.table(SCHEMAS), Registry(settings.registry), prefix)
    locks.acquire(SCHEMAS)
    known.refresh([CONTRACT])
    job = BronzeJob(CONTRACT, Driver(spark, where, locks), Broker(settings.bootstrap, prefix), known)
    try:
        return drain([job], at_once=1, stop=threading.Event())[job.name]
    finally:
        locks.release()


if __name__ == "__main__":
    main()
