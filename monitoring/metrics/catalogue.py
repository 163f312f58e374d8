"""Every metric: name, type, unit, labels, help, and the process that exports it. Everything else is generated from this
list.

The exporters register its metrics, docs/metrics.md is written from it (`make metrics`), and a test compares both with
it.
"""

from dataclasses import dataclass
from typing import Literal

PREFIX = "correnteza_"

Kind = Literal["gauge", "counter", "histogram"]
Process = Literal["monitor", "stream", "schedule"]
"""The name of the process is also the name of its job in deploy/prometheus/prometheus.yml."""

PROCESSES: dict[Process, tuple[str, int]] = {
    "monitor": ("correnteza monitor", 9464),
    "stream": ("correnteza run", 9465),
    "schedule": ("correnteza schedule", 9466),
}
"""Process → the command that runs it, and its default port."""

PARTS = ("broker", "registry", "lake", "checkpoints", "disk", "schedule", "driver")
LAYERS = ("bronze", "silver", "gold")
STATES = ("ok", "behind", "not_started", "topic_replaced", "stopped", "stalled", "unknown")
STAGES = LAYERS
AREAS = ("heap", "nonheap")
PHASES = ("total", "offsets", "planning", "write", "commit")
ROW_OUTCOMES = ("read", "new", "stored", "unchanged", "duplicate", "conflicting", "quarantined", "recomputed")
POLL_OUTCOMES = (
    "published",
    "no_news",
    "failed",
    "throttled",
    "invalid",
    "circuit_open",
    "stopped",
    "fenced",
)


@dataclass(frozen=True)
class Label:
    """A label of a metric.

    Attributes:
        values: all possible values; None if they are names from the pipeline, see `origin`.
        origin: where the values come from, for people.
    """

    name: str
    values: tuple[str, ...] | None
    origin: str


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: without the prefix, as Prometheus shows it: a counter's ends in `_total`.
        unit: of its value; empty for a plain number.
        when_down: for metrics of the monitor: the value while its part fails. `absent`: there is no value. `kept`: the
            last value, which stays true (a time, a total).
        part: for metrics of the monitor: the part of the sampler that sets it.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[Label, ...]
    help: str
    process: Process
    part: str = ""
    when_down: Literal["absent", "kept", ""] = ""
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """The name in Prometheus."""
        return PREFIX + self.name

    @property
    def label_names(self) -> tuple[str, ...]:
        """In the order in which values are given."""
        return tuple(label.name for label in self.labels)


PART = Label("part", PARTS, "the parts of the pipeline that the monitor reads")
LAYER = Label("layer", LAYERS, "the layers that follow a stream")
TABLE = Label("table", None, "the tables of the queries, without the layer; for table_* all tables of the layer")
BRONZE_TABLE = Label("table", None, "bronze's tables, without the layer")
STATE = Label("state", STATES, "the states of `correnteza status`: monitoring/lag/status.py")
SOURCE = Label("source", None, "the files of producers/sources")
DATASET = Label("dataset", None, "the contracts: schemas/*.avsc")
STAGE = Label("stage", STAGES, "the layers that a canary record goes through")
PHASE = Label("phase", PHASES, "phase of a micro-batch, from Spark's durationMs; total is the whole trigger")
ROW_OUTCOME = Label(
    "outcome",
    ROW_OUTCOMES,
    "read: input rows of the query; outcomes in silver: sinks/versions.py; recomputed: rows of gold",
)
POLL_OUTCOME = Label("outcome", POLL_OUTCOMES, "producers/schedule/outcomes.py; covered slots are not counted")
AREA = Label("area", AREAS, "memory area of the JVM: objects (heap), or classes, compiled code and the like (nonheap)")
VERSION = Label("version", None, "version of correnteza")
PYTHON = Label("python", None, "version of the Python interpreter")

BATCH_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0)
POLL_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
CANARY_BUCKETS = (1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


def _monitor(
    name: str,
    labels: tuple[Label, ...],
    text: str,
    *,
    part: str,
    when_down: Literal["absent", "kept", ""] = "absent",
    unit: str = "",
    kind: Kind = "gauge",
    buckets: tuple[float, ...] = (),
) -> Metric:
    return Metric(name, kind, unit, labels, text, "monitor", part, when_down, buckets)


MONITOR = (
    _monitor("build_info", (VERSION, PYTHON), "Always 1: which release runs.", part="", when_down=""),
    _monitor("up", (PART,), "1 if the part answered when it was last read, else 0.", part="", when_down=""),
    _monitor(
        "part_last_success_timestamp_seconds",
        (PART,),
        "When the part last answered.",
        unit="seconds since 1970",
        part="",
        when_down="",
    ),
    _monitor(
        "sample_duration_seconds",
        (PART,),
        "How long reading the part took last time, with or without success.",
        unit="seconds",
        part="",
        when_down="",
    ),
    # Lag: of bronze from the broker and the checkpoints, of silver and gold from the lake and the checkpoints.
    _monitor(
        "lag_records",
        (LAYER, TABLE),
        "Records that wait: last stable offset minus next offset of the last committed batch (bronze), or rows of the"
        " input tables (silver, gold). Transaction markers count.",
        unit="records",
        part="broker, lake, checkpoints",
    ),
    _monitor(
        "lag_seconds",
        (LAYER, TABLE),
        "Age of the oldest record that waits, by its Kafka timestamp; 0 when nothing waits.",
        unit="seconds",
        part="broker, lake, checkpoints",
    ),
    _monitor(
        "oldest_unread_timestamp_seconds",
        (LAYER, TABLE),
        "Kafka timestamp of the oldest record that waits; absent when nothing waits.",
        unit="seconds since 1970",
        part="broker, lake, checkpoints",
    ),
    _monitor(
        "newest_event_timestamp_seconds",
        (LAYER, TABLE),
        "Newest Kafka timestamp in bronze, newest known_from in silver and gold; absent for a table without rows.",
        unit="seconds since 1970",
        part="lake",
        when_down="kept",
    ),
    _monitor(
        "query_state",
        (LAYER, TABLE, STATE),
        "1 for the state that the query is in, 0 for the others.",
        part="broker, lake, checkpoints",
    ),
    _monitor(
        "query_committed_batch",
        (LAYER, TABLE),
        "Number of the newest batch that ended; absent before the first.",
        part="checkpoints",
        when_down="kept",
    ),
    _monitor(
        "query_last_commit_timestamp_seconds",
        (LAYER, TABLE),
        "When the newest batch ended, by its checkpoint; absent before the first.",
        unit="seconds since 1970",
        part="checkpoints",
        when_down="kept",
    ),
    _monitor(
        "retention_seconds_to_loss",
        (BRONZE_TABLE,),
        "Least time until retention removes the oldest unread record; 0 when records are lost already; absent when"
        " nothing waits or the topic keeps records forever.",
        unit="seconds",
        part="broker",
    ),
    _monitor(
        "retention_used_ratio",
        (BRONZE_TABLE,),
        "Share of the topic's retention that the oldest unread record has used up; at 1 records are lost; absent when"
        " nothing waits or the topic keeps records forever.",
        unit="ratio",
        part="broker",
    ),
    _monitor(
        "lost_records_total",
        (DATASET,),
        "Offsets that retention removed before bronze had read them, as accepted in ops.gaps.",
        unit="records",
        part="lake",
        when_down="kept",
        kind="counter",
    ),
    _monitor("table_files", (LAYER, TABLE), "Data files of the present version.", unit="files", part="lake"),
    _monitor("table_bytes", (LAYER, TABLE), "Bytes of the present version's data files.", unit="bytes", part="lake"),
    _monitor("table_log_files", (LAYER, TABLE), "Files of the Delta log.", unit="files", part="lake"),
    _monitor("table_version", (LAYER, TABLE), "Newest version of the Delta table.", part="lake", when_down="kept"),
    _monitor(
        "dead_letters_open",
        (DATASET,),
        "Records that did not decode or are in quarantine, and that nobody has redriven or discarded yet.",
        unit="records",
        part="lake",
    ),
    # The sources: from the records of the workers in poll.outcomes, and each source's calendar.
    _monitor(
        "source_last_success_timestamp_seconds",
        (SOURCE,),
        "When a poll of the source last succeeded, with new rows or without; absent before the first.",
        unit="seconds since 1970",
        part="schedule",
        when_down="kept",
    ),
    _monitor(
        "source_next_slot_timestamp_seconds",
        (SOURCE,),
        "The first slot of the source's calendar that is not due yet.",
        unit="seconds since 1970",
        part="",
        when_down="",
    ),
    _monitor(
        "source_overdue_slots",
        (SOURCE,),
        "Slots of the calendar that were due two minutes ago and have no outcome; for a source that was never"
        " polled only the newest counts.",
        unit="slots",
        part="schedule",
    ),
    _monitor(
        "source_oldest_overdue_slot_timestamp_seconds",
        (SOURCE,),
        "The oldest of the overdue slots; absent when none is overdue.",
        unit="seconds since 1970",
        part="schedule",
    ),
    _monitor(
        "source_circuit_open",
        (SOURCE,),
        "1 while the source is not polled, because it failed repeatedly.",
        part="schedule",
    ),
    _monitor(
        "source_periods_missing",
        (SOURCE,),
        "Periods that the publication calendar expected by now and that have not arrived; absent if the source has"
        " no calendar. A month without a due publication counts 0.",
        unit="periods",
        part="lake",
    ),
    _monitor(
        "open_transaction_seconds",
        (DATASET,),
        "How long an open transaction has kept the newest records of the topic from readers, as far as the monitor has"
        " seen; 0 while none does.",
        unit="seconds",
        part="broker",
    ),
    _monitor("broker_offline_partitions", (), "Partitions of the pipeline's topics without a leader.", part="broker"),
    _monitor(
        "broker_under_replicated_partitions",
        (),
        "Partitions of the pipeline's topics with replicas that lag.",
        part="broker",
    ),
    _monitor("disk_free_bytes", (), "Free bytes on the file system of the lake.", unit="bytes", part="disk"),
    _monitor("disk_size_bytes", (), "Size of the file system of the lake.", unit="bytes", part="disk"),
    _monitor(
        "canary_latency_seconds",
        (STAGE,),
        "Time from a canary record's publication to its commit in the layer.",
        unit="seconds",
        part="lake",
        when_down="kept",
        kind="histogram",
        buckets=CANARY_BUCKETS,
    ),
    _monitor(
        "canary_newest_timestamp_seconds",
        (STAGE,),
        "When the newest canary record in the layer was published; absent before the first.",
        unit="seconds since 1970",
        part="lake",
        when_down="kept",
    ),
    _monitor(
        "canary_interval_seconds",
        (),
        "Seconds between two canary records, from the monitor's settings; 0 means never.",
        unit="seconds",
        part="",
        when_down="",
    ),
)

STREAM = (
    Metric(
        "batch_duration_seconds",
        "histogram",
        "seconds",
        (LAYER, PHASE),
        "How long micro-batches with rows took, by phase.",
        "stream",
        buckets=BATCH_BUCKETS,
    ),
    Metric(
        "batch_rows_total", "counter", "rows", (LAYER, ROW_OUTCOME), "Rows of micro-batches, by outcome.",
        "stream",
    ),
    Metric(
        "query_restarts_total",
        "counter",
        "restarts",
        (LAYER, TABLE),
        "Restarts of a query after it failed or stalled, one however many attempts it took; a start after a suspension "
        "does not count.",
        "stream",
    ),
    Metric(
        "query_last_success_timestamp_seconds",
        "gauge",
        "seconds since 1970",
        (LAYER, TABLE),
        "When the query last ended a batch, or found no new rows; also set at its start.",
        "stream",
    ),
    Metric(
        "expectations_broken_total",
        "counter",
        "rows",
        (DATASET,),
        "Rows that broke an expectation: by dataset in silver, by table as gold.<table> in gold.",
        "stream",
    ),
    Metric(
        "maintenance_last_success_timestamp_seconds",
        "gauge",
        "seconds since 1970",
        (),
        "When a round of maintenance last ended without a failed table; absent before the first.",
        "stream",
    ),
    Metric(
        "maintenance_files_removed_total",
        "counter",
        "files",
        (),
        "Data and log files that maintenance removed.",
        "stream",
    ),
    *(
        Metric(f"jvm_memory_{name}_bytes", "gauge", "bytes", (AREA,), text, "stream")
        for name, text in (
            ("used", "Used memory of the driver's JVM; in the heap garbage counts."),
            ("committed", "Memory that the driver's JVM has from the operating system."),
            ("max", "Largest memory that the driver's JVM may use; absent without a limit."),
        )
    ),
)  # fmt: skip

SCHEDULE = (
    Metric(
        "polls_total", "counter", "polls", (SOURCE, POLL_OUTCOME), "Polls that this worker recorded, by outcome.",
        "schedule",
    ),
    Metric(
        "poll_duration_seconds",
        "histogram",
        "seconds",
        (SOURCE,),
        "How long polls of the source took.",
        "schedule",
        buckets=POLL_BUCKETS,
    ),
    Metric(
        "fetched_bytes_total", "counter", "bytes", (SOURCE,), "Bytes of bodies in the source's answers.",
        "schedule",
    ),
    Metric(
        "published_records_total", "counter", "records", (SOURCE,), "Records that polls published.", "schedule"
    ),
    Metric("leader", "gauge", "", (), "1 while this worker leads; the sum over all workers must be 1.", "schedule"),
)  # fmt: skip

CATALOGUE: tuple[Metric, ...] = MONITOR + STREAM + SCHEDULE

PROCESS_METRICS = {
    "process_virtual_memory_bytes": "Virtual memory of the Python process.",
    "process_resident_memory_bytes": "Resident memory of the Python process; for the stream driver without its JVM.",
    "process_start_time_seconds": "When the process started, seconds since 1970.",
    "process_cpu_seconds_total": "CPU time of the Python process; for the stream driver without its JVM.",
    "process_open_fds": "Open file descriptors.",
    "process_max_fds": "Largest number of open file descriptors.",
}
"""Metrics of every process beside the catalogue, under the names that all Prometheus clients use."""


def of(process: Process) -> tuple[Metric, ...]:
    """The metrics of one process."""
    return tuple(metric for metric in CATALOGUE if metric.process == process)


def metric(name: str) -> Metric:
    """The metric of this name, without the prefix. Raises: KeyError when the catalogue has none."""
    return _BY_NAME[name]


_BY_NAME = {metric.name: metric for metric in CATALOGUE}
