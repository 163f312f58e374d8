"""The cursor: what a source needs to go on, read back from the compacted topic its transactions wrote."""

import io
import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import cache
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from fastavro.schema import parse_schema

from foundation.errors import TransientError, UnsafeState
from producers import encode
from producers.chunk import CURSORS
from producers.encode import Message
from producers.model import Cursor, PartState
from schemas.contracts import KEY_SEPARATOR, load

READ_DEADLINE = 120.0
"""Seconds; longer than a transaction may stay open, because the end of the topic waits for those under way."""

SETTLE_DEADLINE = 30.0
_UNSETTLED = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}

_READER = parse_schema(load(CURSORS).schema)


def message(cursor: Cursor, schema_id: int) -> Message:
    """The cursor as a Kafka message, keyed `source|resource`."""
    return encode.record(load(CURSORS), schema_id, asdict(cursor))


def read(
    bootstrap: str, topic: str, owners: Collection[str], schema_text: Callable[[int], str | None]
) -> dict[str, dict[str, Cursor]]:
    """The newest committed cursors, by owner (a source, or its backfill) and resource; the topic is read once for all.

    Call it after `init_transactions`: a predecessor's open transaction is then aborted. Another source's may still be
    open in this topic and hide our own newer records from a read_committed reader; so the end to reach is the
    uncommitted one, and reading waits until everything before it is decided.

    Raises:
        TransientError: the end was not reached in time.
        UnsafeState: a cursor that cannot be read.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "correnteza-cursors",  # required by the client; assigned by hand and never committed
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # the last fetch finds nothing, and need not wait for more
            "log_level": 0,
        }
    )
    try:
        return _read(consumer, bootstrap, topic, owners, schema_text)
    except KafkaException as error:
        raise TransientError(f"cannot read {topic}: {error}", hint="correnteza topics apply") from error
    finally:
        consumer.close()


def _read(
    consumer: Consumer, bootstrap: str, topic: str, owners: Collection[str], schema_text: Callable[[int], str | None]
) -> dict[str, dict[str, Cursor]]:
    schema = cache(lambda schema_id: _writer(schema_id, schema_text))
    found: dict[str, dict[str, Cursor]] = {owner: {} for owner in owners}
    deadline = time.monotonic() + READ_DEADLINE
    for partition, end in _ends(bootstrap, topic).items():
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        position = 0
        while position < end:
            record = consumer.poll(1.0)
            if time.monotonic() > deadline:
                raise TransientError(f"{topic}: read to offset {position} of {end}; a transaction in it is still open")
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
            owner, _, resource = (record.key() or b"").decode().partition(KEY_SEPARATOR)
            if owner not in found:
                continue
            value = record.value()
            if value is None:
                found[owner].pop(resource, None)
            else:
                found[owner][resource] = _decode(value, schema, topic, offset)
    return found


def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    """End offset per partition, transactions still open included."""
    reader = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "correnteza-cursors",
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        }
    )
    try:
        metadata = reader.list_topics(topic, timeout=30).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return {partition: _end(reader, TopicPartition(topic, partition)) for partition in metadata.partitions}
    finally:
        reader.close()


def _end(reader: Consumer, partition: TopicPartition) -> int:
    deadline = time.monotonic() + SETTLE_DEADLINE
    while True:
        try:
            found: tuple[int, int] = reader.get_watermark_offsets(partition, timeout=SETTLE_DEADLINE)
            return found[1]
        except KafkaException as error:
            # A topic just created, or a broker just restarted: the leader is known in a moment.
            if error.args[0].code() not in _UNSETTLED or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _writer(schema_id: int, schema_text: Callable[[int], str | None]) -> Any:
    text = schema_text(schema_id)
    if text is None:
        raise UnsafeState(f"a cursor was written with schema id {schema_id}, which the registry does not know")
    return parse_schema(json.loads(text))


def _decode(value: bytes, schema: Callable[[int], Any], topic: str, offset: int) -> Cursor:
    try:
        magic, schema_id = value[0], int.from_bytes(value[1:5], "big")
        if magic != 0:
            raise ValueError("not framed")
        fields: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema(schema_id), _READER)
        parts = {key: PartState(**state) for key, state in fields.pop("parts").items()}
        return Cursor(**fields, parts=parts)
    except (ValueError, TypeError, IndexError, EOFError) as error:
        raise UnsafeState(f"{topic}, offset {offset}: not a cursor: {error}") from error
