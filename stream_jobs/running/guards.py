"""The checks before a query starts, and how to continue when one fails: adopt its tables in a new generation."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deltalake import QueryBuilder

from foundation.errors import UsageError
from sinks import tables
from sinks.ops import gaps
from storage import delta
from stream_jobs.places import Places
from stream_jobs.running import fingerprint, retention, topic_offsets
from stream_jobs.running.checkpoints import Checkpoint, Found, Guard, app_id
from stream_jobs.running.jobs import LAYERS, Broker
from stream_jobs.running.topic_ids import current_ids

EARLIEST = -2
"""Spark's word for a partition's first offset."""


def checkpoint_of(places: Places, query: str) -> Checkpoint:
    """A query's folder. Raises: UsageError when no query can have that name."""
    layer, _, table = query.partition(".")
    if layer not in LAYERS or not table:
        raise UsageError(f"no query {query}", hint="name it <layer>.<table>, such as bronze.inmet_hourly")
    return Checkpoint(query, places.checkpoint(query))


def open_checkpoint(
    places: Places, query: str, *, topic: str | None = None, topic_id: str | None = None, stamp: bool = False
) -> Guard:
    """The guard under which a query may start.

    Args:
        topic, topic_id: of a bronze query, as they are now.
        stamp: whether to give an older release's guard its fingerprint; only for the holder of the table's lock.

    Raises:
        UnsafeState: starting could double or lose rows.
    """
    checkpoint = checkpoint_of(places, query)
    found = replace(look(places, query, checkpoint.guard), topic=topic, topic_id=topic_id)
    guard = checkpoint.open(found)
    return checkpoint.stamp(guard, found) if stamp else guard


def look(places: Places, query: str, guard: Guard | None) -> Found:
    """The state of a query's tables, and how far the guard's generation has come in them."""
    paths = {name: places.table(name) for name in _tables(query)}
    written: list[int | None] = []
    if guard is not None:
        written = [tables.last_transaction(path, app_id(query, guard, name)) for name, path in paths.items()]
    return Found(
        tables={name: tables.identity(path) for name, path in paths.items() if tables.exists(path)},
        has_rows=any(tables.has_rows(path) for path in paths.values()),
        last_written=max((batch for batch in written if batch is not None), default=None),
        fingerprint=fingerprint.of(query),
    )


def adopt(
    places: Places, query: str, broker: Broker, topic: str | None, *, loss_accepted_by: str | None = None
) -> Guard:
    """Begin a new generation of a query on the tables that it has.

    A bronze query goes on after the greatest offset that its table holds of each partition of the present topic, and
    from the earliest where it holds none. Silver and gold read everything again: they are idempotent by key and clock.

    Args:
        topic: of a bronze query.
        loss_accepted_by: who accepts that records which retention removed unread are lost; `ops.gaps` names the person.

    Raises:
        UnsafeState: retention removed records unread, and nobody has accepted that.
        DependencyUnavailable: the topic does not exist.
    """
    checkpoint = checkpoint_of(places, query)
    found = look(places, query, None)
    if topic is None:
        guard = checkpoint.adopt(found, None)
        while look(places, query, guard).last_written is not None:
            # With its disk the query lost what it knew of generations; the tables tell that this one was used before.
            guard = checkpoint.adopt(found, None)
        return guard
    topic_id = broker.topic_id(topic)
    position = _next_offsets(places.table(query), topic_id) if found.has_rows else {}
    first = topic_offsets.first_offsets(broker, topic)
    if loss_accepted_by is None:
        retention.require_nothing_missing(query, topic, position, first)
    else:
        lost = retention.missing(position, first)
        gaps.declare(places.table(gaps.NAME), _declared(topic, topic_id, lost, loss_accepted_by))
        position |= {each.partition: each.until for each in lost}
    offsets = {str(partition): position.get(partition, EARLIEST) for partition in first}
    starting = json.dumps({topic: offsets}, sort_keys=True)
    return checkpoint.adopt(replace(found, topic=topic, topic_id=topic_id), starting)


def describe(places: Places, query: str, broker: Broker | None, topic: str | None) -> dict[str, Any]:
    """What a query's folder and its tables hold, for people and scripts."""
    checkpoint = checkpoint_of(places, query)
    guard = checkpoint.guard
    found = look(places, query, guard)
    return {
        "query": query,
        "folder": str(checkpoint.folder),
        "generation": guard and guard.generation,
        "query_id": guard and guard.query_id,
        "topic": topic,
        "topic_id": guard and guard.topic_id,
        "topic_id_now": current_ids(broker.bootstrap, [topic]).get(topic) if broker and topic else None,
        "starting_offsets": guard and guard.starting_offsets,
        "last_planned_batch": guard and checkpoint.last_batch(guard.generation, "offsets"),
        "last_finished_batch": guard and checkpoint.last_batch(guard.generation, "commits"),
        "last_written_batch": found.last_written,
        "tables": {
            name: {"id": identity, "id_in_guard": guard and guard.tables.get(name)}
            for name, identity in found.tables.items()
        },
        "holds_rows": found.has_rows,
    }


def _tables(query: str) -> tuple[str, ...]:
    """The tables whose content depends on the query's place in its input."""
    return (query, f"{query}_revisions") if query.startswith("silver.") else (query,)


def _declared(topic: str, topic_id: str, lost: Iterable[retention.Missing], by: str) -> list[gaps.Gap]:
    now = datetime.now(UTC)
    return [gaps.Gap(topic, topic_id, each.partition, each.first, each.until, "retention", now, by) for each in lost]


def _next_offsets(bronze: str, topic_id: str) -> dict[int, int]:
    """Partition → the offset after the last one that bronze holds of this topic id."""
    query = (
        f"select partition, max(\"offset\") + 1 as next from bronze where topic_id = '{topic_id}' group by partition"
    )
    found = QueryBuilder().register("bronze", delta.table(bronze)).execute(query).read_all()
    return {
        int(partition): int(following)
        for partition, following in zip(found["partition"].to_pylist(), found["next"].to_pylist(), strict=True)
    }
