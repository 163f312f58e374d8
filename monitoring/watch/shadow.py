"""A consumer group whose committed offsets follow bronze, for tools that measure lag only by consumer groups.

Spark keeps its offsets in its checkpoint and commits none, so Burrow, kafka-lag-exporter or a Kafka UI do not see its
position. No consumer belongs to this group, and bronze never reads these offsets.
"""

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from foundation import kafka
from foundation.errors import DependencyUnavailable
from foundation.log import get_logger
from monitoring.lag.spark_checkpoints import Progress

EVERY_SECONDS = 10.0
"""Also without progress, because such tools consider a group without commits as stopped."""
TIMEOUT_SECONDS = 5.0

log = get_logger("monitor")


class ShadowGroup:
    """One group on one cluster."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._group = group
        self._due = 0.0
        self._consumer = Consumer(
            kafka.client(
                bootstrap,
                {
                    "group.id": group,
                    "enable.auto.commit": False,
                    "socket.timeout.ms": int(TIMEOUT_SECONDS * 1000),
                },
            )
        )

    def follow(self, positions: Mapping[str, Progress | None]) -> None:
        """Commit the next offsets of bronze's newest batches, if it is time. Raises: DependencyUnavailable."""
        offsets = [
            TopicPartition(topic, partition, offset)
            for progress in positions.values()
            if progress is not None
            for (topic, partition), offset in progress.kafka.items()
        ]
        if not offsets or time.monotonic() < self._due:
            return
        try:
            # Without a subscription no member joins the group: it consists only of the offsets.
            committed = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise DependencyUnavailable(
                f"the offsets of group {self._group} were not committed: {error.args[0].str()}",
                hint="a group of this name must have no consumers: CORRENTEZA_SHADOW_GROUP",
            ) from error
        for each in committed or ():
            if each.error is not None:
                raise DependencyUnavailable(f"the offset of {each.topic}/{each.partition} was refused: {each.error}")
        self._due = time.monotonic() + EVERY_SECONDS
