"""Whether a query has anything to read: compares what it has committed with what its input holds now.

No JVM is needed, so a single run starts only the queries that have something to read: an idle query costs as much as a
small batch. Every guard runs as at a start, so an unsafe state is refused here too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from foundation import kafka
from sinks import tables
from stream_jobs.places import Places
from stream_jobs.running.delta_offsets import by_table
from stream_jobs.running.guards import checkpoint_of, open_checkpoint
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_offsets import ends


@dataclass(frozen=True)
class TopicNow:
    """A topic now.

    Attributes:
        ends: partition → last stable offset, exclusive: no read_committed reader goes beyond.
    """

    name: str
    topic_id: str
    ends: Mapping[int, int]


def topics_now(broker: Broker, names: Iterable[str]) -> dict[str, TopicNow]:
    """Topic → its state, in three requests for all; one that does not exist is left out.

    Raises:
        TransientError: the broker does not answer.
    """
    ids = broker.topic_ids(names)
    found = ends(AdminClient(kafka.client(broker.bootstrap)), ids)
    return {name: TopicNow(name, ids[name], found.get(name, {})) for name in ids}


def in_topic(places: Places, query: str, topic: TopicNow) -> bool:
    """Whether a bronze query's topic holds more than the query has committed. Raises: UnsafeState, as its start."""
    settled = _settled(places, query, topic=topic.name, topic_id=topic.topic_id)
    if settled is None:
        return True
    position = json.loads(settled[0]).get(topic.name, {}) if settled else {}
    return any(position.get(str(partition), 0) != end for partition, end in topic.ends.items())


def in_tables(places: Places, query: str, inputs: Iterable[str], *, changes_too: bool = True) -> bool:
    """Whether one of a query's input tables (`<layer>.<table>`) gained rows that the query has not committed.

    Args:
        changes_too: whether versions count that took rows away; streams skip them.

    Raises:
        UnsafeState: as its start.
    """
    settled = _settled(places, query)
    if settled is None:
        return True
    offsets = by_table(settled)
    if any(offset.get("isStartingVersion") for offset in offsets.values()):
        return True  # during its first read, of which no version's commit tells
    # A source that was read to the end of version 7 stands at the start of version 8.
    next_version = {identity: int(offset["reservoirVersion"]) for identity, offset in offsets.items()}
    paths = [path for name in inputs if tables.has_rows(path := places.table(name))]
    gained = tables.has_gained if changes_too else _has_appended
    return any(gained(path, next_version.get(tables.identity(path), 0)) for path in paths)


def _has_appended(path: str, since: int) -> bool:
    return tables.has_appended(path, since, tables.version(path) + 1)


def _settled(places: Places, query: str, *, topic: str | None = None, topic_id: str | None = None) -> list[str] | None:
    """What a query has committed, as `Checkpoint.settled`; None too if only a start of the query can tell what must
    happen."""
    checkpoint = checkpoint_of(places, query)
    if not checkpoint.folder.exists() and not tables.has_rows(places.table(query)):
        return []
    guard = checkpoint.guard
    if guard is None or not checkpoint.has_begun(guard.generation):
        return None
    # If a generation has begun, this only reads; to begin one would need the table's lock.
    open_checkpoint(places, query, topic=topic, topic_id=topic_id)
    return checkpoint.settled(guard.generation)
