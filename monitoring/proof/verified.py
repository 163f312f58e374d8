"""The result of the last successful `verify`, so that the next one checks only newer data.

The mark states which versions of the tables and which offsets were verified, and since when, by Kafka's clock, some
layer had unread data. It is ignored, and everything is verified again, if an append-only table (bronze, the revisions)
was recreated, or if one of its versions since then removed rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foundation.files import replace_file
from monitoring.lag import delta_log
from monitoring.lag.inputs import WITHDRAWALS
from monitoring.lag.spark_checkpoints import DeltaPosition
from monitoring.lake import Lake
from monitoring.proof.checks.external import retrieved_at
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Evidence, TopicState
from monitoring.proof.checks.redrives import TRANSACTION_SPAN

FORM = 1
# For a layer that has read nothing yet, seconds since the epoch.
_ALWAYS = 0.0


@dataclass(frozen=True)
class Mark:
    """The verified state.

    Attributes:
        until: all records with an older Kafka timestamp were verified. If nothing lagged, it is the beginning of the
            run.
        tables: append-only table → its Delta id and the version that was verified.
        offsets: topic's name and id → partition → next offset that bronze had not committed.
    """

    until: datetime
    tables: Mapping[str, tuple[str, int]]
    offsets: Mapping[str, Mapping[int, int]]


def read(file: Path) -> Mark | None:
    """The stored mark; None if there is no readable one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["form"] != FORM:
            return None
        return Mark(
            datetime.fromisoformat(found["until"]),
            {str(name): (str(table_id), int(version)) for name, (table_id, version) in found["tables"].items()},
            {str(topic): {int(each): int(at) for each, at in ends.items()} for topic, ends in found["offsets"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(file: Path, mark: Mark) -> None:
    """Store a mark; a reader sees this one or the one before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    until = mark.until.astimezone(UTC).isoformat()
    document = {"form": FORM, "until": until, "tables": mark.tables, "offsets": mark.offsets}
    replace_file(file, json.dumps(document, indent=1))


def since(mark: Mark | None, lake: Lake) -> datetime | None:
    """The beginning of the data that a run must check, by Kafka's clock; None means everything."""
    if mark is None or mark.until.timestamp() <= _ALWAYS:
        return None
    if any(not _has_only_grown(lake, name, *before) for name, before in mark.tables.items()):
        return None
    found = [mark.until]
    for name, snapshot in lake.snapshots.items():
        if name.startswith("bronze."):
            oldest_at = delta_log.unread(snapshot.path, _after(mark, name)).oldest_at
            found += [] if oldest_at is None else [datetime.fromtimestamp(oldest_at, UTC)]
    return min(found)


def _after(mark: Mark, name: str) -> DeltaPosition | None:
    if name not in mark.tables:
        return None
    table_id, version = mark.tables[name]
    return DeltaPosition(table_id, version + 1, 0, is_snapshot=False)


def _has_only_grown(lake: Lake, name: str, table_id: str, version: int) -> bool:
    snapshot = lake.snapshots.get(name)
    if snapshot is None or snapshot.table_id != table_id or int(snapshot.table.version()) < version:
        return False
    return delta_log.has_only_grown(snapshot.path, version, int(snapshot.table.version()))


def extended_to_mark(evidence: Evidence, mark: Mark, begin: datetime) -> Evidence:
    """The evidence of a window from `begin` on, extended to all data after the mark.

    For silver and gold the window is by retrieval time, so it begins at the oldest retrieval of bronze's rows in the
        window. Topics are read from the offsets of the mark, because an offset that bronze skipped has no row with a
        time.
    """
    found = [begin]
    for dataset, contract in evidence.datasets().items():
        oldest = evidence.lake.value(
            f"SELECT min({retrieved_at(contract)}) FROM bronze.{dataset}"
            f" WHERE decode_status IN ('ok', 'tombstone') AND kafka_timestamp >= TIMESTAMPTZ '{begin.isoformat()}'"
        )
        if isinstance(oldest, datetime):
            found.append(oldest)
    topics = {}
    for name, state in evidence.topics.items():
        ends = mark.offsets.get(_topic_identity(state), {})
        starts = {partition: ends.get(partition, bounds.first) for partition, bounds in state.topic.partitions.items()}
        topics[name] = replace(state, reads_since=starts)
    return replace(evidence, since=min(found), topics=topics)


def _topic_identity(state: TopicState) -> str:
    """A topic's name and id, which distinguish it from a recreated topic."""
    return f"{state.topic.name}@{state.topic.topic_id}"


def mark(evidence: Evidence, began: datetime) -> Mark:
    """The mark of a successful run.

    Args:
        began: before anything was read.
    """
    # An unread manifest, because of which rows were excused, may be a transaction newer than these rows.
    until = min([began, *(at - TRANSACTION_SPAN for at in _lags(evidence))])
    offsets = {_topic_identity(state): dict(state.committed) for state in evidence.topics.values()}
    return Mark(until, _growing(evidence.lake), offsets)


def _growing(lake: Lake) -> dict[str, tuple[str, int]]:
    return {
        name: (snapshot.table_id, int(snapshot.table.version()))
        for name, snapshot in lake.snapshots.items()
        if (name.startswith("bronze.") or name.endswith("_revisions")) and name != "bronze.ingest_cursors"
    }


def _lags(evidence: Evidence) -> list[datetime]:
    """The oldest unread Kafka timestamp of each layer that has unread data.

    A layer with neither checkpoint nor table has read nothing. Tables without checkpoints are a copy of a lake, in
    which all rows must agree.
    """
    found = [state.oldest_unread_at for state in evidence.topics.values()]  # 0 for a topic that did not answer
    for dataset in evidence.datasets():
        progress = evidence.progress.get(f"silver.{dataset}")
        if progress is None:
            found.append(None if evidence.lake.has(f"silver.{dataset}") else _ALWAYS)
            continue
        for name in (f"bronze.{dataset}", WITHDRAWALS):
            if evidence.lake.has(name):
                snapshot = evidence.lake.snapshots[name]
                found.append(delta_log.unread(snapshot.path, progress.delta.get(snapshot.table_id)).oldest_at)
    for definition in DEFINITIONS:
        found += [_gold_lag(evidence, f"gold.{definition.table}", dataset) for dataset in definition.datasets]
    return [datetime.fromtimestamp(at, UTC) for at in found if at is not None]


def _gold_lag(evidence: Evidence, table: str, dataset: str) -> float | None:
    """The Kafka timestamp of the oldest revision that a gold query has not read."""
    name, progress = f"silver.{dataset}_revisions", evidence.progress.get(table)
    if not evidence.lake.has(name, f"bronze.{dataset}"):
        return None
    if progress is None:
        return None if evidence.lake.has(table) else _ALWAYS
    snapshot = evidence.lake.snapshots[name]
    unread = delta_log.unread(snapshot.path, progress.delta.get(snapshot.table_id))
    files = [file for file in unread.files if file not in snapshot.damaged_files]
    if not files:
        return None
    found = []
    for source, is_kind in ((f"bronze.{dataset}", "IS NOT TRUE"), (WITHDRAWALS, "IS TRUE")):
        if evidence.lake.has(source):
            at: Any = evidence.lake.value(
                f"""
                SELECT epoch(min(b.kafka_timestamp)) FROM {source} b JOIN (
                    SELECT kafka_partition AS p, min(kafka_offset) AS o
                    FROM {evidence.lake.rows_of(snapshot, files)} WHERE is_withdrawn {is_kind} GROUP BY 1
                ) u ON b.partition = u.p AND b."offset" >= u.o"""
            )
            found += [] if at is None else [float(at)]
    return min(found, default=None)
