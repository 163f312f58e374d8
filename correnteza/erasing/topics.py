"""What Kafka still holds of erased records, until when, and how its beginning can be cut off."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from foundation import kafka
from foundation.errors import TransientError
from monitoring.lag.kafka import Cluster
from sinks.ops.erasures import Erased

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Left:
    """Erased records that one partition still holds.

    Attributes:
        records: how many.
        before: offset after the last of them.
        until: when the last of them is gone at the latest, UTC; None where the topic keeps all.
        older: records of other keys before that offset, at most: a transaction's marker counts too.
    """

    topic: str
    partition: int
    records: int
    before: int
    older: int
    until: datetime | None

    def __str__(self) -> str:
        gone = "as long as the topic" if self.until is None else f"until {self.until:%Y-%m-%d %H:%M} UTC at the latest"
        return f"{self.topic}/{self.partition}: {self.records} records stay in Kafka {gone}"


def left(bootstrap: str, records: Iterable[Erased]) -> list[Left]:
    """Of each partition that still holds some. Raises: DependencyUnavailable: the broker is away."""
    erased = list(records)
    topics = Cluster(bootstrap).topics({each.topic for each in erased})
    kept = {name: _kept(bootstrap, name) for name in topics}
    found = []
    for name, topic in sorted(topics.items()):
        for partition, bounds in sorted(topic.partitions.items()):
            here = [
                each
                for each in erased
                if (each.topic_id, each.partition) == (topic.topic_id, partition) and each.offset >= bounds.first
            ]
            if here:
                before = max(each.offset for each in here) + 1
                newest, keeps = max(each.kafka_timestamp for each in here), kept[name]
                until = None if keeps is None else newest + keeps
                found.append(Left(name, partition, len(here), before, before - bounds.first - len(here), until))
    return found


def cut_off(bootstrap: str, found: Iterable[Left]) -> None:
    """Delete the beginning of each partition, up to its last erased record, and all older records with it.

    No reader is given them any more. Their bytes stand in the log's files until the broker rolls and deletes those.

    Raises: TransientError: the broker refuses, or is away.
    """
    places = [TopicPartition(each.topic, each.partition, each.before) for each in found]
    if not places:
        return
    admin = AdminClient(kafka.client(bootstrap))
    for place, answer in admin.delete_records(places, request_timeout=_TIMEOUT_SECONDS).items():
        try:
            answer.result()
        except KafkaException as error:
            raise TransientError(f"the beginning of {place.topic}/{place.partition} is not deleted: {error}") from error


def _kept(bootstrap: str, topic: str) -> timedelta | None:
    """How long a record stays at most: a file is closed after `segment.ms`, and deleted `retention.ms` after its newest
    record."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient(kafka.client(bootstrap))
    try:
        config = admin.describe_configs([resource], request_timeout=_TIMEOUT_SECONDS)[resource].result()
    except KafkaException as error:
        raise TransientError(f"the broker does not say how long {topic} keeps records: {error}") from error
    retention, segment = (int(config[name].value) for name in ("retention.ms", "segment.ms"))
    is_compacted = "delete" not in str(config["cleanup.policy"].value)
    return None if retention < 0 or is_compacted else timedelta(milliseconds=retention + segment)
