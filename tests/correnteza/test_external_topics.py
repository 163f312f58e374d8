"""Topics and subjects that others own are read, looked at, and never changed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from typer.testing import CliRunner

from correnteza import acls, topics
from correnteza.cli import app
from foundation.errors import UsageError
from schemas import contracts
from schemas.contracts import Contract, load_all
from schemas.registry import Registry
from tests import foreign
from tests.foreign import framed

pytestmark = pytest.mark.integration

DATASET = "shop_orders"
ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "key", "type": "long"},
    ],
}
RENAMED = {**ORDER, "fields": [*ORDER["fields"][:2], {"name": "number", "type": "long", "aliases": ["key"]}]}


@pytest.fixture
def shop(settings, monkeypatch) -> Contract:
    """A topic and a subject of others, and one that does not exist yet, in the contracts of this home."""
    topic = f"{settings.topic_prefix}shop.orders"
    foreign.create(settings, topic, partitions=2)
    foreign.register(settings, f"{topic}-value", ORDER)
    words = {"key": ["order_id", "day"], "prune_by": "order_id"}
    foreign.declare(settings, "shop_absent", foreign.contract(f"{topic}.absent", RENAMED, **words))
    made = foreign.declare(settings, DATASET, foreign.contract(topic, RENAMED, **words))
    yield made
    contracts.use_also(settings.home / "none")


def state(settings, topic: str) -> Mapping[str, Any]:
    """What is there of a topic and its subject: partitions, configuration, versions, the subject's own level."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    known = admin.list_topics(timeout=30).topics
    found: dict[str, Any] = {"topics": sorted(name for name in known if name.startswith(topic))}
    found["partitions"] = len(known[topic].partitions)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    answer = admin.describe_configs([resource])[resource].result()
    found["configuration"] = {name: entry.value for name, entry in answer.items()}
    registry = SchemaRegistryClient({"url": settings.registry})
    found["subjects"] = {
        subject: registry.get_versions(subject) for subject in registry.get_subjects() if topic in subject
    }
    try:
        level = registry.get_config(subject_name=f"{topic}-value")
        found["level"] = str(level.compatibility or level.compatibility_level)
    except SchemaRegistryError:
        found["level"] = "none of its own"
    return found


def changed(settings, topic: str, before: Mapping[str, Any], known: list[Contract]) -> list[str]:
    """What the commands that write to Kafka and the registry change of it, or would let a component do."""
    topics.apply(settings.bootstrap, known, settings.topic_prefix)
    Registry(settings.registry).register(known, settings.topic_prefix)
    after = state(settings, topic)
    found = [f"its {name} were {before[name]}, are {after[name]}" for name in before if before[name] != after[name]]
    granted = acls.rights(known, settings.topic_prefix)
    return found + [f"{each.role} may {each.operations} on {each.name}" for each in granted if topic in each.name]


def test_control_what_others_own_stays_as_it_is(settings, shop, control):
    known = [each for each in load_all().values() if each.name in (DATASET, "shop_absent", "bcb_sgs")]
    before = state(settings, shop.topic)
    control.holds(changed, settings, shop.topic, before, known)
    assert [change.topic for change in topics.plan(settings.bootstrap, known, "")][:1] == ["bcb_sgs.v1"]
    assert [each.subject for each in Registry(settings.registry).plan(known, "")] == ["bcb_sgs.v1-value"]

    as_ours = [replace(each, external=None, partitions=1) if each.external else each for each in known]
    as_ours = [replace(each, topic=each.topic.removeprefix(settings.topic_prefix)) for each in as_ours]

    damage = ("its topics were", "its subjects were", "its level were", "admin may")
    control.objects(changed, settings, shop.topic, before, as_ours, damage=damage)


def seen(settings, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, rows and errors of `topics inspect --json`."""
    variables = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
    }
    done = CliRunner().invoke(app, ["topics", "inspect", *words, "--json"], env=variables)
    rows = json.loads(done.stdout) if done.stdout.startswith("[") else []
    return done.exit_code, rows, str(done.exception)


def test_inspect_shows_what_is_there_and_proposes_a_contract(settings, shop, tmp_path):
    topic, schema_id = shop.topic, foreign.register(settings, f"{shop.topic}-shop.Order", ORDER)
    records = [{"order_id": f"o{number}", "day": number, "key": 7} for number in range(3)]
    days = ["1970-01-01", "1970-01-02", "1970-01-03"]
    producer = Producer({"bootstrap.servers": settings.bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(30)
    for number, (record, day) in enumerate(zip(records, days, strict=True)):
        producer.begin_transaction()
        value = framed(ORDER, schema_id, record)
        key = f"{record['order_id']}|{day}".encode()
        producer.produce(topic, value, key, 0, timestamp=1_700_000_000_000 + 500 * number, headers={"trace": b"1"})
        producer.flush(30)
        producer.commit_transaction(30) if number else producer.abort_transaction(30)
    foreign.send(settings, topic, (b"o1|1970-01-02", None, 1_700_000_002_000), (None, b'{"a": 1}', 1_700_000_002_000))
    file = tmp_path / "contracts" / "shop_copy.avsc"

    code, rows, _ = seen(settings, topic, "--contract", str(file))

    assert code == 0
    told = [(row["about"], row["found"], row["records"]) for row in rows]
    assert ("partition 0", "offsets without a record: transactions, or compacted", 4) in told
    [(_, named, times)] = [row for row in told if row[1].startswith(f"schema {schema_id}: shop.Order, under ")]
    # The registry shared by all tests has the same schema under other subjects, too.
    assert (times, {f"{topic}-shop.Order", f"{topic}-value"} <= set(named.split(" under ")[1].split(", "))) == (2, True)
    assert {row for row in told if row[0] in ("value", "key", "header") and row[1] != named} == {
        ("value", "none: a tombstone, or no key", 1),
        ("value", "json object", 1),
        ("key", "text", 3),
        ("key", "none: a tombstone, or no key", 1),
        ("header", "trace", 2),
    }
    written = json.loads(file.read_text())
    assert (written["key"], written["key_format"], written["topic"]) == (["order_id", "day"], "text", topic)
    assert written["fields"][2] == {"name": "record_key", "type": "long", "aliases": ["key"]}
    assert contracts.parse("shop_copy", file.read_text()).external is not None

    before = file.read_bytes()
    code, _, error = seen(settings, topic, "--contract", str(file))
    assert (code != 0, "exists" in error, file.read_bytes()) == (True, True, before)


def test_inspect_proposes_a_contract_of_json_values_and_keys_in_avro(settings, shop, tmp_path):
    key = {"type": "record", "name": "Key", "fields": [{"name": "order_id", "type": "string"}]}
    key_id = foreign.register(settings, f"{shop.topic}-key", key)
    schema_id = 2**31 - 9  # of a JSON Schema, which this registry need not have to tell what the values are
    orders = [
        {"order_id": f"o{number}", "total": number + 0.5, "key": 1, "made-at": "2024-05-01T12:00:00Z"}
        for number in range(3)
    ]
    del orders[2]["made-at"]
    values = [json.dumps(order).encode() for order in orders]
    values[1] = b"\x00" + schema_id.to_bytes(4, "big") + values[1]
    keys = [framed(key, key_id, {"order_id": order["order_id"]}) for order in orders]
    foreign.send(settings, shop.topic, *((key, value, 1) for key, value in zip(keys, values, strict=True)))
    file = tmp_path / "contracts" / "shop_json.avsc"

    code, rows, error = seen(settings, shop.topic, "--contract", str(file))

    assert code == 0, error
    assert ("value", "json object", 2) in [(row["about"], row["found"], row["records"]) for row in rows]
    written = json.loads(file.read_text())
    assert (written["value_format"], written["key_format"], written["key"]) == ("json", "avro", ["order_id"])
    assert written["fields"] == [
        {"name": "order_id", "type": "string"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 1}},
        {"name": "record_key", "type": "long", "aliases": ["key"]},
        {
            "name": "made_at",
            "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}],
            "aliases": ["made-at"],
            "default": None,
        },
    ]
    assert contracts.parse("shop_json", file.read_text()).external is not None


def test_inspect_says_that_there_is_no_topic_or_nothing_to_read(settings, shop, tmp_path):
    _, _, error = seen(settings, f"{shop.topic}.nothing")
    assert "there is no topic" in error
    file: Path = tmp_path / "none.avsc"
    foreign.send(settings, shop.topic, (b"a", b"plain", 1))
    _, _, error = seen(settings, shop.topic, "--contract", str(file))
    assert "no value of" in error
    assert not file.exists()


def test_inspect_writes_what_must_be_corrected_and_names_it(settings, shop, tmp_path):
    odd = {**ORDER, "fields": [*ORDER["fields"][:2], {"name": "either", "type": ["int", "string"]}]}
    schema_id = foreign.register(settings, f"{shop.topic}-odd", odd)
    value = framed(odd, schema_id, {"order_id": "a", "day": 0, "either": "x"})
    foreign.send(settings, shop.topic, (b"a", value, 1))
    file = tmp_path / "odd.avsc"

    code, _, error = seen(settings, shop.topic, "--contract", str(file))

    assert code != 0
    assert "field either: a union of several types" in error
    assert file.exists()
    with pytest.raises(UsageError):
        contracts.parse("odd", file.read_text())
