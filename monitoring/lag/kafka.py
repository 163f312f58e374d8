"""What an independent read_committed reader sees of a topic: bounds, timestamps, records."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from foundation import kafka
from foundation.errors import DependencyUnavailable
from foundation.topic_answers import unless_unknown
from monitoring.lag import kafka_places
from monitoring.lag.reachable import no_answer

_RPC_SECONDS = 10.0
_SILENCE_SECONDS = 30.0
_BATCH = 10_000
_COMMITTED = IsolationLevel.READ_COMMITTED
# A batch that is not full is returned after this time; so the end of a partition costs this long.
_PATIENCE_SECONDS = 0.05


@dataclass(frozen=True)
class Bounds:
    """A partition's readable offsets.

    Attributes:
        first: first retained offset.
        stable: last stable offset, exclusive: no read_committed reader goes beyond.
    """

    first: int
    stable: int


@dataclass(frozen=True)
class Topic:
    """A topic on the broker now."""

    name: str
    topic_id: str
    partitions: Mapping[int, Bounds]


class Cluster:
    """Read-only access to one Kafka cluster.

    Args:
        rpc_seconds: how long a request about topics may take.

    Raises, from every method: DependencyUnavailable when the cluster does not answer.
    """

    def __init__(self, bootstrap: str, *, rpc_seconds: float = _RPC_SECONDS) -> None:
        self._bootstrap = bootstrap
        self._rpc_seconds = rpc_seconds
        self._admin = AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": int(rpc_seconds * 1000)}))

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """The topics that exist, with the bounds of their partitions."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        try:
            described = self._admin.describe_topics(TopicCollection(wanted), request_timeout=self._rpc_seconds)
            found = {name: topic for name, answer in described.items() if (topic := unless_unknown(answer)) is not None}
            partitions = [TopicPartition(name, each.id) for name, topic in found.items() for each in topic.partitions]
            first = self._offsets(partitions, OffsetSpec.earliest(), _COMMITTED)  # type: ignore[no-untyped-call]
            stable = self._offsets(partitions, OffsetSpec.latest(), _COMMITTED)  # type: ignore[no-untyped-call]
        except KafkaException as error:
            raise self._unavailable(error) from error
        return {
            name: Topic(
                name,
                str(topic.topic_id),
                {each.id: Bounds(first[name, each.id], stable[name, each.id]) for each in topic.partitions},
            )
            for name, topic in found.items()
        }

    def held_back(self, topics: Iterable[Topic]) -> dict[tuple[str, int], int]:
        """(topic, partition) → last stable offset, where there are records that readers of committed ones do not get
        yet. Records that came after `topics` was answered count among them."""
        stable = {(each.name, partition): at.stable for each in topics for partition, at in each.partitions.items()}
        if not stable:
            return {}
        try:
            spec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            ends = self._offsets([TopicPartition(*where) for where in stable], spec, IsolationLevel.READ_UNCOMMITTED)
        except KafkaException as error:
            raise self._unavailable(error) from error
        return {where: at for where, at in stable.items() if ends[where] > at}

    def _offsets(
        self, partitions: list[TopicPartition], spec: OffsetSpec, level: IsolationLevel
    ) -> dict[tuple[str, int], int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(partitions, spec), isolation_level=level, request_timeout=self._rpc_seconds
        )
        return {(where.topic, where.partition): future.result().offset for where, future in asked.items()}

    def oldest_timestamps(
        self, positions: Mapping[tuple[str, int], int], seconds: float, *, is_committed: bool = True
    ) -> dict[tuple[str, int], float | None]:
        """For each (topic, partition), the timestamp of the first record at or after an offset.

        Args:
            is_committed: False: records of open and aborted transactions count, too.

        Returns: seconds since the epoch; None if there is no record before the last stable offset (only transaction
            markers and aborted records). A partition that gave no answer within `seconds` is left out.
        """
        if not positions:
            return {}
        found: dict[tuple[str, int], float | None] = {}
        consumer = self._consumer(None if is_committed else {"isolation.level": "read_uncommitted"})
        try:
            consumer.assign(
                [TopicPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
            )
            deadline = time.monotonic() + seconds
            while len(found) < len(positions) and (left := deadline - time.monotonic()) > 0:
                message = consumer.poll(left)
                if message is None:
                    continue
                where = (message.topic() or "", message.partition() or 0)
                error = message.error()
                if where in found or (error is not None and error.code() != KafkaError._PARTITION_EOF):
                    continue
                found[where] = None if error is not None else _timestamp(message)
                consumer.pause([TopicPartition(*where)])
        except KafkaException as error:
            raise self._unavailable(error) from error
        finally:
            consumer.close()
        return found

    def offsets_at(self, topic: Topic, epoch_seconds: float) -> dict[int, int]:
        """Per partition, the first offset whose record is not older; the last stable offset if there is none."""
        asked = [TopicPartition(topic.name, partition, int(epoch_seconds * 1000)) for partition in topic.partitions]
        consumer = self._consumer()
        try:
            found = consumer.offsets_for_times(asked, timeout=self._rpc_seconds)
        except KafkaException as error:
            raise self._unavailable(error) from error
        finally:
            consumer.close()
        return {
            each.partition: each.offset if each.offset >= 0 else topic.partitions[each.partition].stable
            for each in found
        }

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[Message]]:
        """Committed records of [start, end), in batches.

        Raises:
            DependencyUnavailable: the broker stops answering before the end is reached.
        """
        if start >= end:
            return
        consumer = self._consumer()
        try:
            # A number, also for the beginning: a logical offset costs half a second more, and so does a second
            # assignment.
            consumer.assign([TopicPartition(topic, partition, start)])
            heard = time.monotonic()
            while True:
                messages = consumer.consume(_BATCH, timeout=_PATIENCE_SECONDS)
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _SILENCE_SECONDS:
                    raise self._silence(f"{topic}/{partition}")
                records = [message for message in messages if message.error() is None]
                at_end = len(records) < len(messages) and any(_is_end(message) for message in messages)
                reached = _offset(records[-1]) if records else -1
                # Offsets ascend, so only a batch that goes beyond the end has records to leave out.
                yield records if reached < end else [message for message in records if _offset(message) < end]
                if at_end or reached >= end - 1:
                    return
        except KafkaException as error:
            raise self._unavailable(error) from error
        finally:
            consumer.close()

    def read_at(self, places: Mapping[tuple[str, int], Sequence[int]]) -> dict[tuple[str, int, int], Message]:
        """The committed records at these offsets of (topic, partition): (topic, partition, offset) → record.

        An offset without a committed record that is still retained is left out.

        Raises:
            DependencyUnavailable: the broker stops answering before all is found or ruled out.
        """
        if not places:
            return {}
        consumer = self._consumer(kafka_places.SETTINGS)
        try:
            return kafka_places.collect(consumer, places, _SILENCE_SECONDS)
        except TimeoutError as error:
            raise self._silence("a sample of records") from error
        except KafkaException as error:
            raise self._unavailable(error) from error
        finally:
            consumer.close()

    def _consumer(self, more: Mapping[str, int | str] | None = None) -> Consumer:
        return Consumer(
            kafka.client(
                self._bootstrap,
                {
                    "group.id": kafka.READERS,
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "fetch.wait.max.ms": 50,
                    # A full queue pauses fetching for a second by default; whoever reads a partition whole meets that.
                    "fetch.queue.backoff.ms": 10,
                    **(more or {}),
                },
            )
        )

    def _silence(self, of: str) -> DependencyUnavailable:
        return DependencyUnavailable(f"{of}: no answer from {self._bootstrap} for {_SILENCE_SECONDS:.0f} s")

    def _unavailable(self, error: KafkaException) -> DependencyUnavailable:
        return no_answer(self._bootstrap, error.args[0].str())


def _timestamp(message: Message) -> float | None:
    kind, milliseconds = message.timestamp()
    return None if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds / 1000


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else int(offset)


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF
