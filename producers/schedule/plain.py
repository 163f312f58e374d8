"""The schedule's plain topics: read each from its beginning to its present end, write with an acknowledgement.

No consumer group and no transaction: every process reads all records.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from foundation import kafka
from foundation.errors import TransientError
from foundation.leaders import once_led

TIMEOUT = 10.0
"""Seconds for a broker to answer, or to acknowledge what was sent."""


@dataclass(frozen=True)
class Entry:
    """One record. `appended_at`: seconds since 1970, by the sender's clock."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    appended_at: float


class Tail:
    """Reads some topics from their beginning; each call continues after the last one."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._topics = topics
        self._admin = AdminClient(kafka.client(bootstrap))
        self._consumer = Consumer(
            kafka.client(
                bootstrap,
                {
                    "group.id": kafka.READERS,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 50,
                },
            )
        )
        self._next: dict[tuple[str, int], int] = {}

    def read(self) -> Iterator[Entry]:
        """What has been added since the last time, in order within a partition.

        Raises: TransientError when the broker does not answer, or a topic does not exist; call again later.
        """
        try:
            if not self._next:
                self._begin()
            ends = self._ends()
            behind = [place for place, end in ends.items() if self._next[place] < end]
            # Without an assignment between two calls: an assigned consumer asks the broker again every 50 ms.
            self._consumer.assign([TopicPartition(*place, self._next[place]) for place in behind])
            deadline = time.monotonic() + TIMEOUT
            while any(self._next[place] < ends[place] for place in behind):
                message = self._consumer.poll(0.5)
                if message is None:
                    if time.monotonic() > deadline:
                        raise TransientError(f"{', '.join(self._topics)}: the broker does not send what it has")
                    continue
                place = (str(message.topic()), int(message.partition() or 0))
                offset = int(message.offset() or 0)
                error = message.error()
                if error is None:
                    deadline = time.monotonic() + TIMEOUT
                    self._next[place] = offset + 1
                    yield Entry(*place, offset, message.value(), message.timestamp()[1] / 1000)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._next[place] = offset
                else:
                    raise KafkaException(error)
        except KafkaException as error:
            raise TransientError(f"cannot read {self._topics[0]}: {error}", hint="correnteza topics apply") from error
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _begin(self) -> None:
        found = self._consumer.list_topics(timeout=TIMEOUT).topics
        if missing := [name for name in self._topics if name not in found]:
            raise TransientError(f"topic {missing[0]} does not exist", hint="correnteza topics apply")
        self._next = {(name, partition): 0 for name in self._topics for partition in found[name].partitions}

    def _ends(self) -> dict[tuple[str, int], int]:
        wanted = {TopicPartition(*place): OffsetSpec.latest() for place in self._next}  # type: ignore[no-untyped-call]

        def ask() -> dict[tuple[str, int], int]:
            answers = self._admin.list_offsets(wanted, request_timeout=TIMEOUT)
            ends = {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}
            # A broker that hangs gives no error; without this check it would look as if there were no new records.
            if min(ends.values()) < 0:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            return ends

        return once_led(ask, TIMEOUT)


class Sender:
    """Writes to plain topics, in order, and returns once the broker has acknowledged the records."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            kafka.client(
                bootstrap,
                {
                    "enable.idempotence": True,
                    "partitioner": "murmur2_random",
                    "message.timeout.ms": int(TIMEOUT * 1000),
                    "topic.metadata.propagation.max.ms": 2000,
                    "linger.ms": 0,
                },
            )
        )

    def send(self, topic: str, records: Sequence[tuple[str, bytes]], *, partition: int | None = None) -> None:
        """Append (key, value) records. Raises: TransientError when the broker did not acknowledge all of them."""
        failed: list[KafkaError] = []

        def acknowledged(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(error)

        where = -1 if partition is None else partition  # -1: by the key
        try:
            for key, value in records:
                self._producer.produce(topic, value, key.encode(), where, on_delivery=acknowledged)
            left = self._producer.flush(TIMEOUT + 5)
        except KafkaException as error:
            raise TransientError(f"cannot write to {topic}: {error}") from error
        if failed or left:
            raise TransientError(f"cannot write to {topic}: {failed[0] if failed else 'no answer'}")
