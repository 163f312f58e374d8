"""A bounded sample of a topic: its newest committed records, and what their bytes look like."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from foundation.errors import UsageError
from monitoring.lag.kafka import Bounds, Cluster
from schemas import framing


@dataclass(frozen=True)
class PartitionSample:
    """The newest records of one partition.

    Attributes:
        bounds: of the partition.
        start: first offset of the sample; it ends at the last stable offset.
    """

    partition: int
    bounds: Bounds
    start: int
    messages: Sequence[Message]

    @property
    def without_record(self) -> int:
        """Offsets of the sample that no committed record has: marks and aborted records of transactions, or what a
        compaction removed."""
        return self.bounds.stable - self.start - len(self.messages)


def sample(cluster: Cluster, topic: str, most: int) -> list[PartitionSample]:
    """The newest records of each partition.

    Args:
        most: offsets that are read of all partitions together, at least one of each.

    Raises:
        UsageError: there is no such topic.
        DependencyUnavailable: the broker does not answer.
    """
    known = cluster.topics([topic])
    if topic not in known:
        raise UsageError(f"there is no topic {topic}", hint="its whole name, without topic_prefix")
    partitions = known[topic].partitions
    each = max(1, most // len(partitions))
    found = []
    for partition, bounds in sorted(partitions.items()):
        start = max(bounds.first, bounds.stable - each)
        batches = cluster.read(topic, partition, start, bounds.stable)
        found.append(PartitionSample(partition, bounds, start, [one for batch in batches for one in batch]))
    return found


def form_of(data: bytes | None) -> str:
    """What a key or a value looks like: `none`, `schema <id>` in Confluent framing, `json object`, `json`, `text` or
    `bytes`."""
    if data is None:
        return "none"
    if framed := framing.split(data):
        return f"schema {framed[0]}"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes"
    try:
        return "json object" if isinstance(json.loads(text), dict) else "json"
    except (ValueError, RecursionError):
        return "text" if text.isprintable() else "bytes"


def seconds(message: Message) -> float | None:
    """A record's timestamp, since the epoch; None if it has none."""
    kind, milliseconds = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds / 1000
