"""Framed records like those of a producer, made without the pipeline's code."""

import io
import struct
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
from confluent_kafka import Producer

from schemas.contracts import Contract
from schemas.limits import MAX_RECORD_BYTES

Message = tuple[bytes | None, bytes | None]
"""Key and value."""

PUBLISHED = datetime(2024, 3, 1, tzinfo=UTC)

RETRIEVED_AT = datetime(2025, 11, 11, 12, 34, 56, tzinfo=UTC)
"""When the parts that parser tests make up were fetched."""

DEFAULTS: Mapping[str, Any] = {
    "published_at": None,
    "published_at_basis": "none",
    "retrieved_at": PUBLISHED,
    "chunk_id": "chunk-1",
    "row_number": 0,
}


def of_a_month(month: int, amount: str, known: datetime) -> dict[str, Any]:
    """A record of `bcb_sgs`: the monthly inflation of 2023, published at an instant."""
    return {
        "series_code": 433,
        "reference_on": date(2023, month, 1),
        "value": Decimal(amount).quantize(Decimal("1e-13")),
        "published_at": known,
        "published_at_basis": "api_field",
        "retrieved_at": known + timedelta(hours=1),
    }


def framed(schema: Mapping[str, Any], schema_id: int, record: Mapping[str, Any]) -> bytes:
    """Confluent framing: a zero byte, the schema id, the Avro body. Missing provenance gets defaults."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(schema)), {**DEFAULTS, **record})
    return b"\x00" + struct.pack(">I", schema_id) + body.getvalue()


def message(contract: Contract, schema_id: int, record: Mapping[str, Any]) -> Message:
    """A record under the contract's own schema, with its natural key."""
    parts = ("" if record.get(name) is None else str(record[name]) for name in contract.key)
    return "|".join(parts).encode(), framed(contract.schema, schema_id, record)


def in_transaction(bootstrap: str, name: str) -> Producer:
    """A producer with this transactional id that has begun a transaction."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    return producer


def publish(bootstrap: str, topic: str, messages: Iterable[Message], *, partition: int = -1) -> None:
    """Produce in order, and wait until every message is acknowledged. Args: partition: -1 leaves it to the key."""
    limit = {"message.max.bytes": MAX_RECORD_BYTES}
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 0, **limit}
    )
    failures: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failures.append(error)

    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failures
