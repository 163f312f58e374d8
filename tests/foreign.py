"""A topic that others own, filled by a plain producer, and a contract for it in an installation's home."""

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import fastavro
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from correnteza.settings import Settings
from monitoring.lag.kafka import Cluster
from monitoring.proof.checks.model import Rule
from monitoring.proof.verify import Subject, verify
from schemas import contracts
from stream_jobs.gold import reference
from stream_jobs.silver.tables import model as silver
from tests.helpers import wait_for

ADDRESS = {
    "type": "record",
    "name": "Address",
    "fields": [
        {"name": "city", "type": ["null", "string"], "default": None},
        {"name": "zip", "type": ["null", "string"], "default": None},
    ],
}
LINE = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop.events",
    "fields": [
        {"name": "orderId", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "part", "type": "int"},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["NEW", "PAID", "SENT"]}},
        {"name": "billed", "type": ADDRESS},
        {"name": "shipped", "type": ["null", "Address"], "default": None},
        {"name": "lines", "type": {"type": "array", "items": LINE}},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
        {
            "name": "total",
            "type": {
                "type": "fixed",
                "name": "Money",
                "size": 6,
                "logicalType": "decimal",
                "precision": 12,
                "scale": 2,
            },
        },
        {"name": "weight", "type": "float"},
        {"name": "share", "type": ["double", "null"]},
        {"name": "updated", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "due_on", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "labels", "type": {"type": "map", "values": "string"}},
        {"name": "topic", "type": ["null", "string"], "default": None},
    ],
}
"""What a shop publishes: every kind of type that a contract may have, and a field that silver has a column for."""
OF_CONTRACT = {
    **ORDER,
    "fields": [*ORDER["fields"][:-1], {**ORDER["fields"][-1], "name": "channel", "aliases": ["topic"]}],
}
"""How a contract declares it."""


def contract(topic: str, schema: Mapping[str, Any] = OF_CONTRACT, **words: Any) -> dict[str, Any]:
    """A contract's content. Args: words: fields that replace the defaults."""
    return {
        **schema,
        "origin": "external",
        "topic": topic,
        "key": ["orderId", "part"],
        "known_from": "kafka",
        "prune_by": "orderId",
        "classes": {"personal": [field["name"] for field in schema["fields"]]},
        **words,
    }


def declare(settings: Settings, dataset: str, content: Mapping[str, Any]) -> contracts.Contract:
    """Put a contract into an installation's folder."""
    settings.contracts.mkdir(parents=True, exist_ok=True)
    (settings.contracts / f"{dataset}.avsc").write_text(json.dumps(content), encoding="utf-8")
    contracts.use_also(settings.contracts)
    contracts.forget()
    return contracts.load(dataset)


def register(settings: Settings, subject: str, schema: Mapping[str, Any]) -> int:
    """The id of a schema under a subject that its owner chose."""
    client = SchemaRegistryClient({"url": settings.registry})
    return int(client.register_schema(subject, Schema(json.dumps(schema), "AVRO")))


def create(settings: Settings, topic: str, partitions: int = 1) -> None:
    """The topic as its owner made it, with other settings than ours."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config={"retention.ms": "-1"})
    for made in admin.create_topics([new], operation_timeout=30).values():
        made.result()
    wait_for(lambda: topic in admin.list_topics(timeout=30).topics, f"{topic} is in the broker's list")


def framed(schema: Mapping[str, Any], schema_id: int, record: Mapping[str, Any]) -> bytes:
    """Confluent framing of a record; nothing is added to it."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(schema)), dict(record))
    return b"\x00" + struct.pack(">I", schema_id) + body.getvalue()


def send(settings: Settings, topic: str, *messages: tuple[bytes | None, bytes | None, int]) -> None:
    """Key, value and Kafka's timestamp in milliseconds of each message, in order."""
    producer = Producer({"bootstrap.servers": settings.bootstrap, "enable.idempotence": True, "log_level": 0})
    refused: list[Any] = []
    for key, value, at in messages:
        producer.produce(
            topic, value, key, timestamp=at, on_delivery=lambda error, _: refused.append(error) if error else None
        )
    assert producer.flush(60) == 0
    assert refused == []


def verdicts(settings: Settings, *datasets: str) -> dict[str, tuple[list[str], list[str]]]:
    """Check of `verify` → what it found wrong, and what it notes."""
    rules = {
        name: tuple(Rule(each.name, each.sql) for each in table.expectations if each.action == "quarantine")
        for name, table in silver.discover().items()
    }
    subject = Subject(settings.lake_root, settings.checkpoints, reference.FOLDER, settings.topic_prefix, rules)
    known = {name: contracts.load(name) for name in datasets}
    report = verify(subject, Cluster(settings.bootstrap), known, since=None)
    return {
        each.check: (
            [f"{found.where}: {found.what} {found.examples}" for found in each.outcome.findings],
            each.outcome.notes,
        )
        for each in report.verdicts
    }


def wrong(settings: Settings, *datasets: str) -> list[str]:
    """The findings of `verify`, in words."""
    return [f"{check}: {what}" for check, (found, _) in verdicts(settings, *datasets).items() for what in found]
