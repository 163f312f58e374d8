"""`make bench-first-read`: what it costs a query to begin with a young table, from its first commit or newest version.

Tables of three commits, made as the pipeline makes them, are each read to their end by a new query whose batches count
their rows: in every run once from the first commit (`stream_jobs/running/first_read.py`), and once as Delta's source
begins without being told. The claim is the ratio.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StringType, StructType

from benchmarks.harness import RUNS, TreeMeter, machine, report, together
from correnteza import spark as sessions
from correnteza.settings import Settings
from sinks import tables
from sinks.arrow_commit import append
from stream_jobs.running.first_read import FROM_THE_FIRST_COMMIT

TABLES = 9
COMMITS = 3
ROWS = 100
"""Of a commit."""

SCHEMA = StructType().add("number", LongType()).add("name", StringType())
CANDIDATES: dict[str, dict[str, str]] = {"newest version": {}, "first commit": FROM_THE_FIRST_COMMIT}


def main() -> None:
    """Make the tables, begin with each, print the cost and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory(prefix="bench-first-read-") as folder:
        home = Path(folder)
        spark = sessions.start(Settings(home=home / "home"), short_lived=True)
        paths = [_table(spark, home / f"table-{number}") for number in range(TABLES)]
        measured(spark, paths, home / "warm-up")
        found = [measured(spark, paths, home / f"run-{run}") for run in range(arguments.runs)]
        spark.stop()
    rows = together(found, "cpu_seconds")
    newest, first = (row["cpu_seconds"] for row in rows)
    notes = [
        f"Per table, medians of {arguments.runs} runs over {TABLES} tables of {COMMITS} commits.",
        f"From the newest version it costs {newest / first:.1f} times the CPU of the first commit.",
        f"Load before: {before['load_before']}.",
    ]
    report("first-read", "A query begins with a table", rows, notes)


def measured(spark: SparkSession, paths: list[str], checkpoints: Path) -> list[dict[str, Any]]:
    """Both candidates, one after the other: CPU-seconds and seconds per table."""
    rows = []
    for name, options in CANDIDATES.items():
        began = time.perf_counter()
        with TreeMeter() as meter:
            given = [_read(spark, path, checkpoints / name / Path(path).name, options) for path in paths]
        assert given == [COMMITS * ROWS] * TABLES, given
        rows.append(
            {
                "candidate": name,
                "cpu_seconds": meter.cost.cpu_seconds / TABLES,
                "seconds": (time.perf_counter() - began) / TABLES,
            }
        )
    return rows


def _table(spark: SparkSession, path: Path) -> str:
    tables.ensure(spark, str(path), SCHEMA, statistics_on=("number",))
    for commit in range(COMMITS):
        rows = {"number": list(range(commit * ROWS, (commit + 1) * ROWS)), "name": ["name"] * ROWS}
        append(pa.table(rows), str(path))
    return str(path)


def _read(spark: SparkSession, path: str, checkpoint: Path, options: dict[str, str]) -> int:
    """Begin with a table, and read it to its end. Returns: rows that the batches had."""
    rows: list[int] = []
    stream = spark.readStream.format("delta").options(**options).load(path)
    query = (
        stream.writeStream.foreachBatch(lambda batch, _: rows.append(batch.count()))
        .option("checkpointLocation", str(checkpoint))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return sum(rows)


if __name__ == "__main__":
    main()
