"""Read a whole topic of our own bookkeeping: every committed record up to its present end."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from foundation import kafka
from foundation.errors import TransientError
from foundation.leaders import once_led

READ_DEADLINE = 120.0
"""Seconds; longer than a transaction may stay open, because open transactions delay reaching the end of the topic."""

SETTLE_DEADLINE = 30.0


class Committed(NamedTuple):
    """One record."""

    offset: int
    key: bytes | None
    value: bytes | None


def records(bootstrap: str, topic: str) -> Iterator[Committed]:
    """Every committed record, partition by partition, in order.

    Call it after `init_transactions`: a predecessor's open transaction is then aborted. A transaction of another
    producer may still be open in this topic and hide our own newer records from a read_committed consumer. So this
    reads up to the uncommitted end, and waits until all transactions before it have ended.

    Raises:
        TransientError: the end was not reached in time, or there is no such topic.
    """
    consumer = Consumer(
        kafka.client(
            bootstrap,
            {
                "group.id": kafka.READERS,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,  # the last fetch finds nothing, and need not wait for more
            },
        )
    )
    try:
        yield from _read(consumer, bootstrap, topic)
    except KafkaException as error:
        raise TransientError(f"cannot read {topic}: {error}", hint="correnteza topics apply") from error
    finally:
        consumer.close()


def _read(consumer: Consumer, bootstrap: str, topic: str) -> Iterator[Committed]:
    deadline = time.monotonic() + READ_DEADLINE
    for partition, end in _ends(bootstrap, topic).items():
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        position = 0
        while position < end:
            record = consumer.poll(1.0)
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{topic}: read to offset {position} of {end}; a transaction in it is still open",
                    hint="if it stays so: correnteza doctor",
                )
            if record is None:
                continue
            offset, error = record.offset() or 0, record.error()
            if error is not None:
                # The end-of-partition event carries the next offset: past aborted records and markers too.
                if error.code() == KafkaError._PARTITION_EOF:
                    position = offset
                    continue
                if error.retriable():
                    continue
                raise KafkaException(error)
            position = offset + 1
            yield Committed(offset, record.key(), record.value())


def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    """End offset per partition, transactions still open included."""
    reader = Consumer(kafka.client(bootstrap, {"group.id": kafka.READERS, "isolation.level": "read_uncommitted"}))
    try:
        metadata = reader.list_topics(topic, timeout=30).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return {partition: _end(reader, TopicPartition(topic, partition)) for partition in metadata.partitions}
    finally:
        reader.close()


def _end(reader: Consumer, partition: TopicPartition) -> int:
    ask = lambda: reader.get_watermark_offsets(partition, timeout=SETTLE_DEADLINE)  # noqa: E731
    found: tuple[int, int] = once_led(ask, SETTLE_DEADLINE)
    return found[1]
