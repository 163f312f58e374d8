"""`make bench-store`: what a table in an object store costs beside one on a disk, and how many requests.

The store is the embedded one, on this machine and this disk: what is measured is the protocol and the clients, not a
network. Without Spark: batches as silver and gold write them.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import Schema, Transaction

from benchmarks.harness import report
from benchmarks.scale_costs import PRICES
from correnteza.embedded.stack import OBJECT_STORE, Stack
from correnteza.settings import Settings
from monitoring.lake import Lake
from sinks import locks, tables
from sinks.arrow_commit import append, replace_files
from sinks.snapshot import Snapshot
from storage import delta
from storage.location import Location, connect, location
from storage.s3 import S3
from tests.lying_store import lying

BATCHES, BATCH_ROWS = 30, 2_000
COUNTED = 100
"""Appends whose requests are counted: two checkpoints of the log and more."""
TABLE_ROWS, TABLE_FILES, QUERIES = 2_000_000, 20, 20
QUERY = 'SELECT station, count(*), avg(value), max("at") FROM silver.hours WHERE value > 0.5 GROUP BY ALL ORDER BY 1'
COLUMNS = pa.schema([("station", pa.string()), ("at", pa.timestamp("us", "UTC")), ("value", pa.float64())])


def main() -> None:
    """Measure both, print."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        settings = Settings(home=Path(folder))
        cleanup.enter_context(Stack(settings, (OBJECT_STORE,)))
        store = settings.s3
        proxy = cleanup.enter_context(lying(store))
        rows = [_measured("disk", Path(folder) / "lake"), _measured("store", _lake(store, "timed"))]
        counted = _lake(S3(proxy.endpoint, access_key=store.access_key, secret_key=store.secret_key), "counted")
        path = _table(counted)
        _batches(path, 2)
        proxy.requests.clear()
        _batches(path, COUNTED)
        requests = {kind: count / COUNTED for kind, count in sorted(proxy.requests.items())}
        locks.leases_of(str(counted)).release()  # type: ignore[union-attr]  # it is in a store
    month = sum(PRICES[kind] * each for kind, each in requests.items()) * 86_400 * 30 / 5
    notes = (
        f"append: {BATCH_ROWS:,} rows, opened, leased, written and committed; median of {BATCHES}",
        f"query: an aggregate over {TABLE_ROWS:,} rows in {TABLE_FILES} files by DuckDB; median of {QUERIES}",
        f"requests per append, of {COUNTED}: " + ", ".join(f"{kind} {each:.1f}" for kind, each in requests.items()),
        f"an append every 5 s for a month: {month:.2f} US dollars of requests",
    )
    report("store", "A table in an object store beside one on a disk", rows, notes=notes)


def _lake(store: S3, name: str) -> Location:
    connect("s3://lake", store)
    return location(f"s3://lake/{name}")


def _measured(name: str, lake: Location) -> dict[str, object]:
    path = _table(lake)
    seconds, cpu = _batches(path, BATCHES)
    numbers = np.arange(TABLE_ROWS // TABLE_FILES)
    for _ in range(TABLE_FILES):
        append(_rows(numbers), path)
    asked = [_timed(lambda: Lake(lake).sql(QUERY)) for _ in range(QUERIES)]
    replaced = []
    for _ in range(10):
        snapshot = Snapshot.of(path)
        smallest = snapshot.files()[:1]
        replaced.append(_timed(lambda: replace_files(snapshot, smallest, _rows(numbers).to_reader())))  # noqa: B023
    if (leases := locks.leases_of(str(lake))) is not None:
        leases.release()
    return {
        "place": name,
        "append ms": round(1000 * statistics.median(seconds), 1),
        "append CPU ms": round(1000 * cpu / BATCHES, 1),
        f"replace {TABLE_ROWS // TABLE_FILES:,} rows ms": round(1000 * statistics.median(replaced), 1),
        "query p50 ms": round(1000 * statistics.median(asked), 1),
        "query p95 ms": round(1000 * statistics.quantiles(asked, n=20)[-1], 1),
    }


def _table(lake: Location) -> str:
    path = str(lake / "silver" / "hours")
    properties = {**tables.properties_of(path), "delta.dataSkippingStatsColumns": "at"}
    delta.create(path, Schema.from_arrow(COLUMNS), configuration=properties)
    if (leases := locks.leases_of(str(lake))) is not None:
        locks.lease(leases, "silver.hours")
    return path


def _batches(path: str, count: int) -> tuple[list[float], float]:
    """Seconds of each append, and the CPU seconds of this process for all."""
    rows, began = _rows(np.arange(BATCH_ROWS)), time.process_time()
    first = delta.table(path).version()
    seconds = [_timed(lambda: append(rows, path, once=Transaction("bench", first + n))) for n in range(1, count + 1)]  # noqa: B023
    return seconds, time.process_time() - began


def _rows(numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pa.Table:
    values = np.random.default_rng(7).random(len(numbers))
    stations = pa.array([f"A{number % 600:03}" for number in numbers.tolist()])
    return pa.table(
        [stations, pa.array(numbers * 3_600_000_000).cast(COLUMNS.field("at").type), values], schema=COLUMNS
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
