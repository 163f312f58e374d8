"""The records that bronze has not read, from Kafka; or why Kafka could not be asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foundation.errors import DependencyUnavailable
from monitoring.lag.kafka import Cluster, Topic
from monitoring.lag.spark_checkpoints import Progress

CONNECT_WITHIN_SECONDS = 0.5
"""How long a connection to the broker may take. The operating system accepts it, even if the broker is busy."""
ANSWER_WITHIN_SECONDS = 1.5
"""How long the broker may take for an answer. If it takes longer, it counts as unreachable, and its values are left
out."""


@dataclass(frozen=True)
class Waiting:
    """The answer of Kafka.

    Attributes:
        topics: name → topic, of those that exist.
        offsets: contract → (topic, partition) → next offset, offsets that wait there.
        oldest: (topic, partition) → timestamp of the first record that waits, as `Cluster.oldest_timestamps` has it.
    """

    topics: Mapping[str, Topic]
    offsets: Mapping[str, dict[tuple[str, int], tuple[int, int]]]
    oldest: Mapping[tuple[str, int], float | None]


def waiting_for_bronze(
    connect: Callable[[], Cluster], names: Mapping[str, str], progress: Mapping[str, Progress | None]
) -> tuple[Waiting | None, DependencyUnavailable | None]:
    """The records that wait for bronze, or the error if Kafka does not answer."""
    try:
        cluster = connect()
        topics = cluster.topics(names.values())
        offsets = {name: _unread(topics[topic], progress[name]) for name, topic in names.items() if topic in topics}
        oldest = cluster.oldest_timestamps(
            {where: offset for each in offsets.values() for where, (offset, _) in each.items()}, ANSWER_WITHIN_SECONDS
        )
    except DependencyUnavailable as error:
        return None, error
    return Waiting(topics, offsets, oldest), None


def _unread(topic: Topic, progress: Progress | None) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) → next offset, offsets that wait there; partitions that are read to the end are left out."""
    found = {}
    for partition, bounds in topic.partitions.items():
        position = (progress.kafka if progress else {}).get((topic.name, partition), bounds.first)
        if bounds.stable > position:
            found[topic.name, partition] = (position, bounds.stable - position)
    return found
