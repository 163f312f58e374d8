"""How far behind every layer is, from checkpoints, Delta logs and Kafka: correct while Spark is down; without Kafka
only the values that Kafka alone has are missing.

records behind   what the next layer has not committed: last stable offset minus next offset, markers included
seconds behind   age of the oldest record among them, by its Kafka timestamp; 0 when there is none
newest event     newest Kafka timestamp in bronze, newest `known_from` in silver and gold
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from foundation.errors import DependencyUnavailable
from foundation.redact import redacted
from monitoring.lag import behind, canary, delta_log, inputs, spark_checkpoints
from monitoring.lag.behind import Behind
from monitoring.lag.canary import CanaryArrival
from monitoring.lag.kafka import Cluster, Topic
from monitoring.lag.spark_checkpoints import Progress, StopNote
from monitoring.lag.waiting import Waiting, waiting_for_bronze
from monitoring.lag.words import instant
from monitoring.snapshot import Snapshot, snapshots
from schemas.contracts import CANARY, CANARY_TABLE, Contract
from storage.location import Location

LAYERS = ("bronze", "silver", "gold", "marts", "ops")
"""The order of the layers in a list of tables."""

Tables = Mapping[str, Snapshot]
"""`<layer>.<table>` → the table at one version."""

State = Literal["ok", "behind", "not_started", "topic_replaced", "stopped", "stalled", "unknown"]
"""`unknown`: the query runs or ran, and without Kafka it is not known whether anything waits for it."""


@dataclass(frozen=True)
class Line:
    """One table of one layer.

    Attributes:
        source: the topic, or the table that it is made from.
        records_behind: None when it cannot be known.
        seconds_behind: None when it cannot be known.
        newest_event_at: UTC; None for a table without rows.
        reason, hint: why the query is `stopped` or `stalled`, or waits for a topic that does not exist; what to do.
    """

    layer: str
    table: str
    source: str
    state: State
    records_behind: int | None
    seconds_behind: float | None
    newest_event_at: datetime | None
    committed_batch: int | None
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Places:
    """The folders to read: `<home>/lake`, `<home>/checkpoints`, and the gold tables' inputs.

    Attributes:
        topic_prefix: of every topic.
        gold_inputs: gold table → the datasets it is made from.
    """

    lake: Location
    checkpoints: Path
    topic_prefix: str
    gold_inputs: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Saving:
    """What maintenance would save of a table.

    Attributes:
        small_files: that would become `into` files.
        free_bytes: of data and log files that would be removed.
        held_back_by: queries that keep more from being removed, the one furthest behind first.
    """

    small_files: int
    into: int
    free_bytes: int
    held_back_by: Sequence[str]


SavingOf = Callable[[Snapshot], Saving | None]
"""Plans a table's maintenance; None if that is not possible."""


@dataclass(frozen=True)
class Storage:
    """The size of a table.

    Attributes:
        table: `<layer>.<table>`.
        files, bytes: of the present version. log_files: of its log, checkpoints included.
        saving: None if the table's maintenance was not planned.
    """

    table: str
    files: int
    bytes: int
    log_files: int
    saving: Saving | None = None


@dataclass(frozen=True)
class Stage:
    """The canary in one layer.

    Attributes:
        newest: None before the first.
        stop_note: why its query is stopped; None if it is not.
    """

    newest: CanaryArrival | None
    stop_note: StopNote | None


@dataclass(frozen=True)
class Status:
    """The result of `status`.

    Attributes:
        lines: bronze, silver, gold.
        kafka_away: why Kafka's values are missing; None if they are not.
        canary: stage → how far the newest canary has come; the canary has no line.
        tables: the size of every table, layer by layer.
    """

    lines: list[Line]
    kafka_away: DependencyUnavailable | None
    canary: Mapping[str, Stage] = field(default_factory=dict)
    tables: Sequence[Storage] = ()


def status(
    places: Places, connect: Callable[[], Cluster], contracts: Iterable[Contract], *, now: float | None = None,
    saving_of: SavingOf = lambda snapshot: None,
) -> Status:  # fmt: skip
    """All lines. Without Kafka the number of records that bronze has not read is unknown.

    Args:
        connect: returns the cluster, or raises DependencyUnavailable. It is queried while files are read.
        saving_of: plans a table's maintenance.
    """
    now = time.time() if now is None else now
    streamed = [contract for contract in contracts if not contract.compacted and contract.name != CANARY]
    names = {contract.name: contract.topic_at(places.topic_prefix) for contract in streamed}
    progress = {
        contract.name: spark_checkpoints.read(places.checkpoints, f"bronze.{bronze_table(contract)}")
        for contract in streamed
    }
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(waiting_for_bronze, connect, names, progress)
        lake = snapshots(places.lake)
        reads = inputs.of_queries(streamed, places.gold_inputs)
        derived = [_from_tables(places, lake, query, sources, now) for query, sources in reads.items()]
        waiting, away = asked.result()
    bronze = [
        _bronze(places, lake, contract, waiting, topic=names[contract.name], progress=progress[contract.name], now=now)
        for contract in streamed
    ]
    return Status([*bronze, *derived], away, _canary(places), _storage(lake, saving_of))


def _storage(lake: Tables, saving_of: SavingOf) -> list[Storage]:
    ordered = sorted(lake.values(), key=lambda each: (LAYERS.index(each.layer), each.name))
    return [
        Storage(each.name, len(each.files), sum(each.files.values()), each.log_files, saving_of(each))
        for each in ordered
    ]


def _canary(places: Places) -> dict[str, Stage]:
    found = {}
    for stage, newest in canary.newest(places.lake).items():
        query = f"{stage}.{CANARY_TABLE}"
        progress = spark_checkpoints.read(places.checkpoints, query)
        found[stage] = Stage(newest, spark_checkpoints.stop_note(places.checkpoints, query, progress))
    return found


def as_json(found: Status, *, at: float) -> dict[str, Any]:
    """The document of `status --json`; its form changes only with the number in `schema`.

    `unreachable` names what did not answer, and why; if it is not empty, values may be null or `unknown` for that
    reason.
    """
    away = found.kafka_away
    return {
        "schema": 6,
        "at": instant(at),
        "layers": [
            {
                "layer": line.layer,
                "table": line.table,
                "source": line.source,
                "state": line.state,
                "records_behind": line.records_behind,
                "seconds_behind": None if line.seconds_behind is None else round(line.seconds_behind, 3),
                "newest_event_at": instant(line.newest_event_at),
                "committed_batch": line.committed_batch,
                "reason": line.reason,
                "hint": line.hint,
            }
            for line in found.lines
        ],
        "canary": {stage: _arrival(each, at) for stage, each in found.canary.items()},
        "unreachable": [] if away is None else [{"service": "kafka", "reason": redacted(str(away)), "hint": away.hint}],
        "tables": [asdict(each) for each in found.tables],
    }


def _arrival(stage: Stage, at: float) -> dict[str, Any]:
    """How old the newest canary is, in seconds since it was sent, and how long it took."""
    newest, stop_note = stage.newest, stage.stop_note
    took = newest.seconds if newest else None
    return {
        "newest_at": instant(newest.sent_at if newest else None),
        "seconds": round(max(0.0, at - newest.sent_at), 3) if newest else None,
        "took_seconds": None if took is None else round(took, 3),
        "reason": stop_note.reason if stop_note else None,
        "hint": stop_note.hint if stop_note else None,
    }


def bronze_table(contract: Contract) -> str:
    """The bronze table of a topic: dots in the topic's name become underscores."""
    return contract.name.replace(".", "_")


def _bronze(
    places: Places, lake: Tables, contract: Contract, kafka: Waiting | None,
    *, topic: str, progress: Progress | None, now: float,
) -> Line:  # fmt: skip
    query = f"bronze.{bronze_table(contract)}"
    found = line_of(
        query, topic, progress, behind.of_topic(kafka, contract.name),
        stop_note=spark_checkpoints.stop_note(places.checkpoints, query, progress),
        topic=kafka.topics.get(topic) if kafka else None, newest_event_at=newest_event(lake, query), now=now,
    )  # fmt: skip
    if contract.external and kafka is not None and topic not in kafka.topics:
        # Our own topics do not exist before the first start; one of others that is declared should.
        return _without_topic(found)
    return replace(found, state="unknown") if kafka is None and found.state == "ok" else found


def _without_topic(line: Line) -> Line:
    """The line of a query whose topic does not exist: unless it was stopped, it waits for its topic."""
    return replace(
        line,
        state="unknown" if line.state == "ok" else line.state,
        reason=line.reason or f"topic {line.source} does not exist",
        hint=line.hint or "ask its owner; the query waits for it, and the others run",
    )


def _from_tables(places: Places, lake: Tables, query: str, sources: Sequence[str], now: float) -> Line:
    progress = spark_checkpoints.read(places.checkpoints, query)
    positions = progress.delta if progress else {}
    there = [lake[source] for source in sources if source in lake]
    unread = [delta_log.unread(each.path, positions.get(each.table_id)) for each in there]
    return line_of(
        query, ", ".join(sources), progress, behind.of_tables(unread),
        stop_note=spark_checkpoints.stop_note(places.checkpoints, query, progress),
        topic=None, newest_event_at=newest_event(lake, query), now=now,
    )  # fmt: skip


def line_of(
    query: str, source: str, progress: Progress | None, waiting: Behind,
    *, stop_note: StopNote | None, topic: Topic | None, newest_event_at: datetime | None, now: float,
) -> Line:  # fmt: skip
    """The line of one query, from its checkpoint, the records that wait for it, and its table.

    Args:
        query: `<layer>.<table>`.
        topic: the topic that it reads, on the broker.
    """
    layer, _, table = query.partition(".")
    return Line(
        layer=layer,
        table=table,
        source=source,
        state=_state(stop_note, progress, topic, waiting.records),
        records_behind=waiting.records,
        seconds_behind=waiting.seconds(now),
        newest_event_at=newest_event_at,
        committed_batch=progress.committed_batch if progress else None,
        reason=stop_note.reason if stop_note else None,
        hint=stop_note.hint if stop_note else None,
    )


def _state(stop_note: StopNote | None, progress: Progress | None, topic: Topic | None, records: int | None) -> State:
    if stop_note is not None:
        return stop_note.state
    if progress is None or progress.committed_batch is None:
        return "not_started"
    if topic is not None and progress.topic_id not in (None, topic.topic_id):
        return "topic_replaced"
    return "behind" if records else "ok"


def newest_event(lake: Tables, name: str) -> datetime | None:
    """The newest instant in a table: from file statistics if they have it, else by reading the column."""
    if name not in lake:
        return None
    column = "kafka_timestamp" if name.startswith("bronze.") else "known_from"
    snapshot = lake[name]
    if column not in (field.name for field in snapshot.table.schema().fields):
        return None
    newest = snapshot.greatest(column)
    found = newest if newest is not None else snapshot.greatest_read(column)
    return found if isinstance(found, datetime) else None
