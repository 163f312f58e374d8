"""The values of the metrics, from a view; unknown values are left out."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from monitoring.metrics.catalogue import STATES
from monitoring.watch.parts import Part
from monitoring.watch.view import Place, Seen, View, retention

Values = dict[str, dict[tuple[str, ...], float]]


class _Samples:
    def __init__(self) -> None:
        self.values: Values = {}

    def put(self, name: str, value: float | None, *labels: str) -> None:
        """Add a value; None means unknown."""
        if value is not None:
            self.values.setdefault(name, {})[labels] = float(value)


def samples(
    view: View, lines: Sequence[Seen], parts: Mapping[str, Part], places: Sequence[Place], topics: Mapping[str, str]
) -> Values:
    """The values of every gauge and counter of the monitor.

    Args:
        topics: contract → topic.
    """
    found = _Samples()
    for name, part in parts.items():
        found.put("up", part.answers, name)
        found.put("part_last_success_timestamp_seconds", part.succeeded_at, name)
        found.put("sample_duration_seconds", part.seconds, name)
    for each in lines:
        _query(found, each)
    for place in places:
        margin = retention(view, place) if place.layer == "bronze" else None
        if margin is not None:
            found.put("retention_seconds_to_loss", margin[0], place.table)
            found.put("retention_used_ratio", margin[1], place.table)
    _tables(found, view, topics)
    _sources(found, view)
    if view.kafka is not None:
        for contract, topic in topics.items():
            found.put("open_transaction_seconds", view.kafka.held_back.get(topic), contract)
        found.put("broker_offline_partitions", view.kafka.offline)
        found.put("broker_under_replicated_partitions", view.kafka.under_replicated)
    if view.disk is not None:
        found.put("disk_free_bytes", view.disk.free)
        found.put("disk_size_bytes", view.disk.size)
    return found.values


def _query(found: _Samples, seen: Seen) -> None:
    line, labels = seen.line, (seen.line.layer, seen.line.table)
    found.put("lag_records", line.records_behind, *labels)
    found.put("lag_seconds", line.seconds_behind, *labels)
    found.put("oldest_unread_timestamp_seconds", seen.oldest_at, *labels)
    found.put("newest_event_timestamp_seconds", _epoch(line.newest_event_at), *labels)
    for state in STATES:
        found.put("query_state", state == line.state, *labels, state)
    found.put("query_committed_batch", line.committed_batch, *labels)
    found.put("query_last_commit_timestamp_seconds", seen.committed_at, *labels)


def _tables(found: _Samples, view: View, topics: Mapping[str, str]) -> None:
    for name, table in view.tables.items():
        layer, _, short = name.partition(".")
        if layer == "ops":
            continue
        found.put("table_version", table.version, layer, short)
        if view.lake is not None and name in view.lake.tables:
            found.put("table_files", len(table.paths), layer, short)
            found.put("table_bytes", table.bytes, layer, short)
            found.put("table_log_files", table.log_files, layer, short)
    if view.last_lake is not None:
        for contract, topic in topics.items():
            found.put("lost_records_total", view.last_lake.lost.get(topic, 0), contract)
        for stage, arrival in view.last_lake.canary.items():
            found.put("canary_newest_timestamp_seconds", None if arrival is None else arrival.sent_at, stage)
    if view.lake is not None:
        for dataset, count in view.lake.open_dead_letters.items():
            found.put("dead_letters_open", count, dataset)


def _sources(found: _Samples, view: View) -> None:
    for source, slot in view.next_slots.items():
        found.put("source_next_slot_timestamp_seconds", _epoch(slot), source)
    for source, state in view.sources.items():
        found.put("source_last_success_timestamp_seconds", _epoch(state.last_success_at), source)
    for source, state in (view.schedule or {}).items():
        found.put("source_overdue_slots", len(state.overdue), source)
        found.put("source_oldest_overdue_slot_timestamp_seconds", _epoch(next(iter(state.overdue), None)), source)
        found.put("source_circuit_open", state.circuit_open, source)
    for source, count in view.periods_missing.items():
        found.put("source_periods_missing", count, source)


def _epoch(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()
