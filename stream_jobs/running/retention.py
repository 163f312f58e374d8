"""Records that Kafka's retention removed before bronze read them: named before a query starts, never skipped.

Spark fails on its own (`failOnDataLoss`) where a running query meets such a range; it is then restarted, and meets
the check here, which says which offsets are missing and what can be done.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from foundation import kafka
from foundation.errors import TransientError, UnsafeState
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_ids import TIMEOUT_SECONDS


class Missing(NamedTuple):
    """Offsets [first, until) of a partition, removed and not read. Some may have been transaction markers."""

    partition: int
    first: int
    until: int


def first_offsets(broker: Broker, topic: str) -> dict[int, int]:
    """Partition → the first offset that is still there. Raises: TransientError when the broker does not answer."""
    admin = AdminClient(kafka.client(broker.bootstrap))
    try:
        partitions = admin.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions
        asked = admin.list_offsets(
            {TopicPartition(topic, each): OffsetSpec.earliest() for each in partitions},  # type: ignore[no-untyped-call]
            request_timeout=TIMEOUT_SECONDS,
        )
        return {place.partition: answer.result().offset for place, answer in asked.items()}
    except KafkaException as error:
        raise TransientError(f"the broker does not say where {topic} begins: {error}") from error


def missing(position: Mapping[int, int], first: Mapping[int, int]) -> list[Missing]:
    """The offsets between a query's next ones and the first retained ones.

    Args:
        position: partition → next offset to read; one that is absent was never read.
    """
    return [
        Missing(partition, position.get(partition, 0), retained)
        for partition, retained in sorted(first.items())
        if position.get(partition, 0) < retained
    ]


def require_nothing_missing(query: str, topic: str, position: Mapping[int, int], first: Mapping[int, int]) -> None:
    """Raises: UnsafeState when retention has removed what the query has not read; every range is named."""
    if gaps := missing(position, first):
        raise UnsafeState(
            f"retention removed records of {topic} before {query} read them: {described(gaps)}",
            hint=f"correnteza checkpoint adopt {query} --accept-loss, to record the loss and continue after it",
        )


def described(gaps: Sequence[Missing]) -> str:
    """`partition 0 offsets 5-11, partition 2 offsets 3-3`: both ends inclusive."""
    return ", ".join(f"partition {gap.partition} offsets {gap.first}-{gap.until - 1}" for gap in gaps)
