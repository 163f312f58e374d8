"""What one unit of work costs, as it was measured, and where: the input of `benchmarks.scale`.

A figure that nobody measured is None: it is left out of the sums, and the page says so, until a reader gives it.
"""

from dataclasses import dataclass

VM = "a shared virtual machine, 2 cores, 23.5 GiB"
ONE_STORE = f"SeaweedFS 4.48 on {VM}"


@dataclass(frozen=True)
class Cost:
    """One unit cost.

    Attributes:
        value: None where it was not measured.
        source: the page or decision that has the figure, and the command that measures it.
        machine: it was measured on, and how busy that was.
    """

    value: float | None
    unit: str
    what: str
    source: str = "not measured"
    machine: str = "-"


_PERFORMANCE = "[performance.md](performance.md)"
_STORE = "[object-store.md](object-store.md), `make bench-store`"

COSTS = {
    "poll_cpu": Cost(
        7.98,
        "CPU s per million rows",
        "a poller: zip bytes to committed transactions (hours of stations; mobile accesses take 4.65)",
        f"{_PERFORMANCE}, `make bench-publish`",
        f"{VM}, load 0.7",
    ),
    "poll_speed": Cost(
        120_633,
        "rows/s",
        "the same by the clock: one source, one poll",
        f"{_PERFORMANCE}, `make bench-publish`",
        f"{VM}, load 0.7",
    ),
    "bronze_cpu": Cost(
        9.7,
        "CPU s per million rows",
        "bronze in large batches: read, decode, write, commit; a task reads one partition with one core",
        f"{_PERFORMANCE}, `make bench-ingest`",
        f"{VM}, load 3.6",
    ),
    "layers_cpu": Cost(
        88,
        "CPU s per million rows",
        "bronze, silver and gold of 3,000,000 hours of stations in large batches, the JVM's start among it",
        f"{_PERFORMANCE}, `make bench-rebuild`",
        f"{VM}, load 3.6",
    ),
    "busy_topic": Cost(
        1.05,
        "cores",
        "a driver whose one topic gets 1,000 rows a second, default intervals, four tables",
        f"{_PERFORMANCE}, `make bench-latency`",
        f"{VM}, other work of the lowest priority",
    ),
    "burst": Cost(
        2.64,
        "CPU s",
        "one small batch in each layer of a driver that is idle otherwise: (5.4 % - 1.0 %) of a core for a minute",
        "[ADR 22](adr/0022-a-canary-through-all-layers.md)",
        f"{VM}, busy with other work",
    ),
    "idle": Cost(
        0.01,
        "cores",
        "a driver of all layers without news",
        "[ADR 22](adr/0022-a-canary-through-all-layers.md)",
        f"{VM}, busy with other work",
    ),
    "queries": Cost(
        60,
        "queries",
        "the most that ran in one driver",
        "[ADR 21](adr/0021-queries-that-find-nothing-rest.md)",
        VM,
    ),
    "driver_memory": Cost(
        3.5,
        "GB",
        "a driver of all layers at 1,000 rows a second, at most; batches are bounded, so it does not follow the rows",
        f"{_PERFORMANCE}, `make bench-latency`",
        f"{VM}, load 2.1",
    ),
    "silver_cpu": Cost(
        45,
        "CPU s per million rows",
        "a rebuild of silver, the JVM's start and the comparison among it; 560 CPU s per GB of silver",
        f"{_PERFORMANCE}, `make bench-rebuild`",
        f"{VM}, load 3.6",
    ),
    "kafka_bytes": Cost(
        248,
        "bytes per row",
        "an hour of a station in Kafka, one copy, not compressed; polls compress with lz4",
        f"{_PERFORMANCE}, `make bench-rebuild`",
        f"{VM}, load 3.6",
    ),
    "lake_bytes": Cost(
        112,
        "bytes per row",
        "an hour of a station in bronze (30), silver's two tables (81) and gold (1)",
        f"{_PERFORMANCE}, `make bench-rebuild`",
        f"{VM}, load 3.6",
    ),
    "append_get": Cost(
        27, "GET per commit", "a table in a store, opened, leased, written, committed", _STORE, ONE_STORE
    ),
    "append_list": Cost(4.1, "LIST per commit", "the same", _STORE, ONE_STORE),
    "append_put": Cost(5.3, "PUT and POST per commit", "the same: 3.3 and 2", _STORE, ONE_STORE),
    "store_cpu": Cost(
        0.012, "CPU s per commit", "what a commit to a store takes more than one to a disk", _STORE, ONE_STORE
    ),
    "read_get": Cost(None, "GET per day", "reads of a lake in a store by streams, the monitor, queries of people"),
    "look": Cost(
        2,
        "HEAD per second and query",
        "silver and gold queries, at rest too, look whether their input has a new version",
        "`WATCH_SECONDS` in stream_jobs/running/supervisor.py: counted in the code, not measured",
    ),
}

PRICES = {"PUT": 5e-6, "POST": 5e-6, "LIST": 5e-6, "GET": 4e-7, "HEAD": 4e-7, "DELETE": 0.0}
"""US dollars per request, as AWS S3 Standard lists them for us-east-1."""

PRICE_OF_A_GB = 0.023
"""US dollars per GB and month, from the same list."""
