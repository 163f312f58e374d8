"""Create the topics that the contracts and the schedule declare, and refuse topics with another configuration."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from foundation import kafka
from foundation.errors import TransientError, UnsafeState
from foundation.topic_answers import unless_unknown
from schemas import queues
from schemas.contracts import Contract, ours
from schemas.limits import MAX_RECORD_BYTES

RETENTION_MS = 7 * 24 * 3600 * 1000
"""Seven days in Kafka: the lake and the payload archive keep history, the topic bridges an outage of the stream."""

COMPACTED_SEGMENT_BYTES = 4 * 1024 * 1024
"""Segment size of a compacted topic. Kafka never compacts the segment that is being written. With its default size of
a gigabyte, every poll would begin by reading every cursor that was ever committed."""

TIMEOUT_SECONDS = 30
ANSWER_SECONDS = 3
"""After so long without an answer it is looked at whether the log-in was refused: nothing is waited for then."""


@dataclass(frozen=True)
class Copies:
    """How many brokers hold each record of a new topic.

    Attributes:
        replicas: replication factor. None: the cluster's default.
        in_sync: min.insync.replicas, how many of them must have a record before it counts as written.
    """

    replicas: int | None = None
    in_sync: int | None = None


THE_CLUSTERS = Copies()


@dataclass(frozen=True)
class Change:
    """What `apply` would do about one topic.

    Attributes:
        action: `create` or `keep`.
        declared_in: the file of `schemas/` that declares it.
        compaction_lag_ms: how long every record of a compacted topic stays, even if a newer one has the same key.
    """

    topic: str
    action: str
    partitions: int
    cleanup: str
    declared_in: str
    compaction_lag_ms: int = 0


def plan(bootstrap: str, contracts: Iterable[Contract], prefix: str, copies: Copies = THE_CLUSTERS) -> list[Change]:
    """What is missing, in the contracts' order, and then the schedule's queues.

    Raises:
        UnsafeState: a topic exists with fewer partitions, with another cleanup policy, or with fewer copies than
            declared.
        TransientError: the broker does not answer.
        DependencyUnavailable: it does not let us in.
    """
    admin = _admin(bootstrap)
    existing = _topics(admin, bootstrap)
    declared = [*_data(contracts, prefix), *_queues(prefix)]
    configs = _configs(admin, [change.topic for change in declared if change.topic in existing])
    changes = []
    for change in declared:
        if change.topic in configs:
            _refuse_if_other(change, len(existing[change.topic]), configs[change.topic]["cleanup.policy"])
            _refuse_fewer(change.topic, existing[change.topic], configs[change.topic], copies)
        changes.append(replace(change, action="keep") if change.topic in configs else change)
    return changes


def _data(contracts: Iterable[Contract], prefix: str) -> Iterator[Change]:
    for contract in ours(contracts):
        cleanup = "compact" if contract.compacted else "delete"
        yield Change(prefix + contract.topic, "create", contract.partitions, cleanup, f"{contract.name}.avsc")


def _queues(prefix: str) -> Iterator[Change]:
    for name, partitions in queues.PARTITIONS.items():
        # The last outcome of each source is kept forever, and that of each slot as long as its request.
        cleanup, lag = ("compact", RETENTION_MS) if name == queues.OUTCOMES else ("delete", 0)
        yield Change(prefix + name, "create", partitions, cleanup, "queues.py", lag)


def apply(bootstrap: str, contracts: Iterable[Contract], prefix: str, copies: Copies = THE_CLUSTERS) -> list[str]:
    """Create what is missing; returns the names created. Again is harmless, two at once too. Raises: as `plan`."""
    missing = [change for change in plan(bootstrap, contracts, prefix, copies) if change.action == "create"]
    if not missing:
        return []
    topics = [
        NewTopic(
            change.topic,
            num_partitions=change.partitions,
            replication_factor=copies.replicas or -1,
            config=_config(change, copies),
        )
        for change in missing
    ]
    admin = _admin(bootstrap)  # kept in a variable while its answers are awaited: they are lost when it is freed
    for topic, future in admin.create_topics(topics, operation_timeout=TIMEOUT_SECONDS).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TransientError(f"cannot create topic {topic}: {error}") from error
    created = [change.topic for change in missing]
    _wait_until_led(admin, created)
    return created


def _wait_until_led(admin: AdminClient, topics: list[str]) -> None:
    """Wait until the topics have leaders: after the creation brokers may not know a topic for a moment."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        known = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
        waiting = [
            topic
            for topic in topics
            if topic not in known
            or not known[topic].partitions
            or any(partition.leader < 0 for partition in known[topic].partitions.values())
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise TransientError(f"topics without a leader after {TIMEOUT_SECONDS} s: {', '.join(waiting)}")
        time.sleep(0.05)


def _config(change: Change, copies: Copies) -> dict[str, str]:
    common = {
        **({"min.insync.replicas": str(copies.in_sync)} if copies.in_sync else {}),
        "cleanup.policy": change.cleanup,
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": str(MAX_RECORD_BYTES),
    }
    if change.cleanup != "compact":
        return {**common, "retention.ms": str(RETENTION_MS)}
    return {
        **common,
        "retention.ms": "-1",
        "min.compaction.lag.ms": str(change.compaction_lag_ms),
        "segment.bytes": str(COMPACTED_SEGMENT_BYTES),
    }


def _refuse_if_other(change: Change, partitions: int, policy: str) -> None:
    topic = change.topic
    if partitions < change.partitions:
        raise UnsafeState(
            f"topic {topic} has {partitions} partitions, {change.partitions} are declared; adding some would move "
            "keys to other partitions",
            hint=f"set its partitions in schemas/{change.declared_in} to {partitions}, or move to a new topic",
        )
    if policy != change.cleanup:
        raise UnsafeState(
            f"topic {topic} has cleanup.policy={policy}, {change.cleanup} is declared",
            hint=f"kafka-configs --alter --topic {topic} --add-config cleanup.policy={change.cleanup}",
        )


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": TIMEOUT_SECONDS * 1000}))


def _refuse_fewer(topic: str, partitions: list[int], config: dict[str, str], copies: Copies) -> None:
    if copies.replicas and min(partitions) < copies.replicas:
        raise UnsafeState(
            f"topic {topic} has {min(partitions)} replicas, {copies.replicas} are wanted",
            hint="kafka-reassign-partitions adds replicas; correnteza moves no partition",
        )
    if copies.in_sync and int(config["min.insync.replicas"]) < copies.in_sync:
        raise UnsafeState(
            f"topic {topic} has min.insync.replicas={config['min.insync.replicas']}, {copies.in_sync} is wanted",
            hint=f"kafka-configs --alter --topic {topic} --add-config min.insync.replicas={copies.in_sync}",
        )


def _topics(admin: AdminClient, bootstrap: str) -> dict[str, list[int]]:
    """Topic → replicas of each partition."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            metadata = admin.list_topics(timeout=ANSWER_SECONDS)
            break
        except KafkaException as error:
            reason = kafka.no_answer(admin, bootstrap, error)
            if not isinstance(reason, TransientError) or time.monotonic() > deadline:
                raise reason from error
    return {
        name: [len(partition.replicas) for partition in topic.partitions.values()]
        for name, topic in metadata.topics.items()
    }


def _configs(admin: AdminClient, topics: list[str]) -> dict[str, dict[str, str]]:
    """Topic → its settings, without the topics that were deleted after they were listed."""
    if not topics:
        return {}
    answers: dict[Any, Any] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic) for topic in topics])
    try:
        found = {resource.name: unless_unknown(answer) for resource, answer in answers.items()}
    except KafkaException as error:
        raise TransientError(f"cannot read topic settings: {error}") from error
    return {
        topic: {name: entry.value for name, entry in settings.items()}
        for topic, settings in found.items()
        if settings is not None
    }
