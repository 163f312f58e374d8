"""A topic of others with values in JSON, plain and framed, and with keys in Avro: bronze, silver, `verify`."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from monitoring.lake import Lake
from monitoring.reading import dead_letters
from schemas import contracts
from stream_jobs.bronze import decode
from stream_jobs.columns import record_type
from tests import foreign

DATASET = "shop_orders"
FIRST = "0a1b2c3d-0000-4000-8000-000000000001"
SECOND = "0a1b2c3d-0000-4000-8000-000000000002"
MS = 1_700_000_000_000
KEY = {
    "type": "record",
    "name": "OrderKey",
    "namespace": "shop.events",
    "fields": [{"name": "part", "type": "int"}, {"name": "orderId", "type": "string"}],
}
"""What the shop's message keys are: the same fields in another order."""


def order(number: str, part: int, status: str, **fields: Any) -> dict[str, Any]:
    """A record as the shop writes it."""
    return {
        "orderId": number,
        "part": part,
        "status": status,
        "billed": {"city": "São Paulo"},
        "shipped": {"zip": "40000"},
        "lines": [{"sku": "a", "price": "12.50", "at": "2024-05-01T14:00:00.123+02:00"}],
        "tags": ["x", None],
        "total": -12345.1,
        "weight": 0.1,
        "share": 1,
        "updated": 1_714_608_000_000,
        "due_on": "2024-06-01",
        "digest": base64.b64encode(b"\x00\x01\xfe\xff").decode(),
        "labels": {"b": "2", "a": "1"},
        "topic": "web",
        **fields,
    }


def value(*words: Any, **fields: Any) -> bytes:
    return json.dumps(order(*words, **fields)).encode()


class Shop:
    """The owner of a topic without any schema for its values."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline, self.settings = pipeline, pipeline.settings
        self.topic = f"{self.settings.topic_prefix}shop.json"
        foreign.create(self.settings, self.topic)

    def declare(self, **words: Any) -> None:
        words = {"value_format": "json", **words}
        foreign.declare(self.settings, DATASET, foreign.contract(self.topic, **words))

    def send(self, *messages: tuple[bytes | None, bytes | None, int]) -> None:
        foreign.send(self.settings, self.topic, *messages)

    def read(self) -> None:
        """Bronze and silver up to the present."""
        self.pipeline.run(self.pipeline.bronze(DATASET))
        self.pipeline.run(self.pipeline.silver(DATASET))

    def current(self) -> list[tuple[str, int, str]]:
        return sorted((row["orderId"][-1], row["part"], row["status"]) for row in self.rows(f"silver.{DATASET}"))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows, of bronze in the topic's order."""
        return sorted(self.pipeline.rows(table), key=lambda row: row.get("offset", 0))

    def wrong(self) -> list[str]:
        return foreign.wrong(self.settings, DATASET)


@pytest.fixture
def shop(pipeline) -> Iterator[Shop]:
    made = Shop(pipeline)
    yield made
    contracts.use_also(pipeline.settings.home / "none")


def test_plain_and_framed_json_become_typed_rows_and_what_does_not_fit_a_dead_letter_with_its_reason(shop):
    shop.declare()
    key = f"{FIRST}|1".encode()
    shop.send(
        (key, value(FIRST, 1, "NEW"), MS),
        (key, b"\x00\x00\x00\x00\x07" + value(FIRST, 1, "PAID"), MS + 1),
        (f"{SECOND}|1".encode(), value(SECOND, 1, "NEW", new_field=[1]), MS + 2),
        (key, value(FIRST, 1, "SENT", total="1.005"), MS + 3),
        (key, b"hello", MS + 4),
        (f"{SECOND}|1".encode(), None, MS + 5),
        (f"{SECOND}|2".encode(), value(SECOND, 2, "NEW"), MS + 6),
    )
    producer = Producer({"bootstrap.servers": shop.settings.bootstrap, "log_level": 0})
    producer.produce(shop.topic, value(FIRST, 2, "NEW"), b"x", timestamp=MS, headers=[("trace", b"\xff"), ("a", None)])
    assert producer.flush(60) == 0
    shop.read()

    bronze = shop.rows(f"bronze.{DATASET}")
    assert [row["decode_status"] for row in bronze] == [
        *("ok", "ok", "ok", "corrupt", "not_json", "tombstone", "ok", "ok"),
    ]
    assert [row["schema_id"] for row in bronze[:3]] == [None, 7, None]
    assert [row["value"] is not None for row in bronze] == [False, False, True, True, True, False, False, False]
    assert bronze[7]["headers"] == [{"key": "trace", "value": b"\xff"}, {"key": "a", "value": None}]
    assert bronze[0]["headers"] == []
    assert shop.current() == [("1", 1, "PAID"), ("1", 2, "NEW"), ("2", 2, "NEW")]
    assert shop.wrong() == []

    lake = Lake(shop.settings.lake_root)
    dead_letters.register(lake)
    letters = lake.rows(f'SELECT reason, problem FROM {dead_letters.VIEW} ORDER BY "offset"')
    assert [(each["reason"], each["problem"]) for each in letters] == [
        ("corrupt", "total: a number with more than 2 digits after the point"),
        ("not_json", "no JSON: JSONDecodeError"),
    ]


def lenient(contract: contracts.Contract) -> Column:
    """Spark's own reader: what it cannot read becomes null, and a number for a text is taken."""
    told = F.from_json(F.col("value").cast("string"), StructType(record_type(contract).fields))
    return F.struct(
        F.lit("ok").alias("status"),
        told.alias("record"),
        F.lit(None).cast("string").alias("problem"),
        F.lit(True).alias("is_whole"),
    )


def test_control_a_reader_that_fills_with_null_is_named_by_verify(shop, control, monkeypatch):
    shop.declare()
    shop.send((b"k", value(FIRST, 1, "NEW"), MS), (b"k", value(FIRST, 2, 7), MS))
    shop.read()
    control.holds(shop.wrong)

    shop.send((b"k", value(SECOND, 1, 7), MS + 1))
    monkeypatch.setattr(decode, "_json_read", lenient)
    shop.read()
    control.objects(shop.wrong, damage="count as decoded and are no JSON of their contract")


def test_keys_in_avro_say_which_row_a_tombstone_withdraws(shop):
    """A record of the key's fields, under a schema whose subject has any name; other keys withdraw nothing."""
    shop.declare(key_format="avro")
    schema_id = foreign.register(shop.settings, f"{shop.topic}-any-name", KEY)
    other = {**KEY, "name": "Other", "fields": [{"name": "id", "type": "int"}]}
    other_id = foreign.register(shop.settings, f"{shop.topic}-other", other)

    def key(number: str, part: int) -> bytes:
        return foreign.framed(KEY, schema_id, {"orderId": number, "part": part})

    shop.send(
        (key(FIRST, 1), value(FIRST, 1, "NEW"), MS),
        (key(FIRST, 2), value(FIRST, 2, "NEW"), MS + 1),
        (key(SECOND, 1), value(SECOND, 1, "NEW"), MS + 2),
        (b"text", value(SECOND, 2, "NEW"), MS + 3),
        (key(FIRST, 2), None, MS + 4),
        (b"text", None, MS + 5),
        (foreign.framed(other, other_id, {"id": 1}), None, MS + 6),
        (b"\x00\x7f\xff\xff\xff\x02a", None, MS + 7),
        (key(SECOND, 1)[:7], None, MS + 8),
    )
    shop.read()

    said = [row["key_record"] for row in shop.rows(f"bronze.{DATASET}")]
    assert said[0] == {"orderId": FIRST, "part": 1}
    assert said[3:] == [None, {"orderId": FIRST, "part": 2}, None, None, None, None]
    assert shop.current() == [("1", 1, "NEW"), ("2", 1, "NEW"), ("2", 2, "NEW")]
    assert shop.wrong() == []


def test_a_key_of_one_field_may_stand_by_itself(shop):
    shop.declare(key_format="avro", key=["orderId"])
    schema_id = foreign.register(shop.settings, f"{shop.topic}-key", {"type": "string"})
    gone = b"\x00" + schema_id.to_bytes(4, "big") + bytes([2 * len(FIRST)]) + FIRST.encode()
    shop.send((gone, value(FIRST, 1, "NEW"), MS), (b"k", value(SECOND, 1, "NEW"), MS + 1), (gone, None, MS + 2))
    shop.read()

    assert shop.current() == [("2", 1, "NEW")]
    assert shop.wrong() == []


def changed(shop: Shop, name: str, new: Any) -> None:
    """Put a value into a column of bronze's first row."""
    path = shop.pipeline.places.table(f"bronze.{DATASET}")
    held = DeltaTable(path).to_pyarrow_table()
    rows = sorted(held.to_pylist(), key=lambda row: row["offset"])
    rows[0][name] = new
    write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")


@pytest.mark.parametrize(
    ("column", "new", "damage"),
    [
        ("headers", [{"key": "trace", "value": b"x"}], "have other headers than their record"),
        ("key_record", {"orderId": FIRST, "part": 9}, "say another key than their message key"),
    ],
)
def test_control_verify_names_headers_and_keys_that_are_not_the_records(shop, control, column, new, damage):
    shop.declare(key_format="avro")
    schema_id = foreign.register(shop.settings, f"{shop.topic}-key", KEY)
    shop.send((foreign.framed(KEY, schema_id, {"orderId": FIRST, "part": 1}), value(FIRST, 1, "NEW"), MS))
    shop.read()
    control.holds(shop.wrong)

    changed(shop, column, new)

    control.objects(shop.wrong, damage=damage)
