"""A topic that others own, under subjects and with keys of their own, through bronze and silver to `verify`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, StringType, StructType

from schemas import contracts
from sinks.versions import version_hash
from tests import foreign
from tests.foreign import ORDER

DATASET = "shop_orders"
FIRST = "0a1b2c3d-0000-4000-8000-000000000001"
SECOND = "0a1b2c3d-0000-4000-8000-000000000002"
MS = 1_700_000_000_000
"""Of the first record: the same instant in every run."""


class Sent(NamedTuple):
    """One message that the shop's producer wrote; `status` is None for a tombstone."""

    order: str
    part: int
    at: int
    status: str | None


def order(number: str, part: int, status: str, **fields: Any) -> dict[str, Any]:
    """A record as the shop has it."""
    return {
        "orderId": number,
        "part": part,
        "status": status,
        "billed": {"city": "São Paulo", "zip": None},
        "shipped": {"city": None, "zip": "40000"},
        "lines": [{"sku": "a", "price": Decimal("12.50"), "at": datetime(2024, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)}],
        "tags": ["x", None],
        "total": Decimal("-1234567890.12"),
        "weight": 0.1,
        "share": None,
        "updated": datetime(2024, 5, 2, tzinfo=UTC),
        "due_on": date(2024, 6, 1),
        "digest": b"\x00\x01\xfe\xff",
        "labels": {"b": "2", "a": "1"},
        "topic": "web",
        **fields,
    }


class Shop:
    """The owner of the topic: it registers schemas under the record's name, and writes any bytes."""

    def __init__(self, pipeline: Any, topic: str) -> None:
        self.settings, self.topic = pipeline.settings, topic
        foreign.create(self.settings, topic)
        self.schema_id = foreign.register(self.settings, f"{topic}-shop.events.Order", ORDER)
        self.sent: list[Sent] = []

    def send(self, number: str, part: int, at: int, status: str | None, **fields: Any) -> None:
        value = status and foreign.framed(ORDER, self.schema_id, order(number, part, status, **fields))
        foreign.send(self.settings, self.topic, (f"{number}|{part}".encode(), value or None, MS + at))
        self.sent.append(Sent(number, part, MS + at, status))

    def of(self, schema: dict[str, Any], number: int) -> tuple[bytes, bytes, int]:
        """A record of another schema than the contract can read."""
        schema_id = foreign.register(self.settings, f"{self.topic}-{number}", schema)
        return b"\xff\xfe", foreign.framed(schema, schema_id, order(FIRST, 9, "NEW")), MS


@pytest.fixture
def shop(pipeline) -> Iterator[Shop]:
    made = Shop(pipeline, f"{pipeline.settings.topic_prefix}shop.orders")
    foreign.declare(pipeline.settings, DATASET, foreign.contract(made.topic))
    yield made
    contracts.use_also(pipeline.settings.home / "none")


def read(pipeline) -> None:
    """Bronze and silver up to the present."""
    pipeline.run(pipeline.bronze(DATASET))
    pipeline.run(pipeline.silver(DATASET))


def not_newest(pipeline, shop: Shop) -> list[str]:
    """Orders whose current row is not the shop's last message: by Kafka's clock, then by place in the partition."""
    last: dict[tuple[str, int], tuple[int, int, str | None]] = {}
    for place, each in enumerate(shop.sent):
        key = (each.order, each.part)
        last[key] = max(last.get(key, (0, 0, None)), (each.at, place, each.status), key=lambda one: one[:2])
    wanted = {key: status for key, (_, _, status) in last.items() if status is not None}
    held = {(row["orderId"], row["part"]): row["status"] for row in pipeline.rows(f"silver.{DATASET}")}
    return [
        f"{key} is {held.get(key)} and not the newest, {wanted.get(key)}"
        for key in sorted(wanted.keys() | held.keys())
        if wanted.get(key) != held.get(key)
    ]


def test_records_of_others_become_versions_and_verify_holds(pipeline, shop):
    """Every type; a schema found by its id alone; versions by null parts; tombstones; bytes that do not decode."""
    shop.send(FIRST, 1, 0, "NEW")
    shop.send(FIRST, 1, 1, "NEW", tags=[None, "x"])  # a hash that skips nulls takes it for the same
    shop.send(FIRST, 1, 2, "NEW", tags=[None, "x"])
    shop.send(SECOND, 1, 0, "PAID", shipped=None, labels={"a": "1", "b": "2"})
    other = {**ORDER, "name": "Refund"}, {**ORDER, "fields": [ORDER["fields"][0]]}
    foreign.send(pipeline.settings, shop.topic, *(shop.of(schema, number) for number, schema in enumerate(other)))
    foreign.send(pipeline.settings, shop.topic, (b"\xff\xfe", None, MS), (None, b"plain", MS))
    read(pipeline)
    shop.send(SECOND, 1, 5, None)
    shop.send(FIRST, 2, 5, "SENT")
    read(pipeline)

    statuses = [
        row["decode_status"] for row in sorted(pipeline.rows(f"bronze.{DATASET}"), key=lambda row: row["offset"])
    ]
    assert statuses == ["ok"] * 4 + ["corrupt", "corrupt", "tombstone", "not_framed", "tombstone", "ok"]
    revisions = pipeline.rows(f"silver.{DATASET}_revisions")
    assert sorted((row["orderId"][-1], row["part"], row["kafka_offset"], row["is_withdrawn"]) for row in revisions) == [
        ("1", 1, 0, False), ("1", 1, 1, False), ("1", 2, 9, False), ("2", 1, 3, False), ("2", 1, 8, True),
    ]  # fmt: skip
    assert not_newest(pipeline, shop) == []
    [row] = [row for row in pipeline.rows(f"silver.{DATASET}") if row["part"] == 1]
    said = order(FIRST, 1, "NEW", tags=[None, "x"])
    told = {name: value for name, value in said.items() if name not in ("weight", "labels", "topic")}
    assert {name: row[name] for name in told} == told
    assert (row["weight"], dict(row["labels"])) == (pytest.approx(0.1, abs=1e-7), said["labels"])
    assert row["channel"] == "web"
    assert (row["published_at"], row["chunk_id"], row["retrieved_at"]) == (None, None, row["known_from"])
    assert foreign.wrong(pipeline.settings, DATASET) == []


def test_checks_by_manifests_say_that_they_leave_it_out(pipeline, shop):
    shop.send(FIRST, 1, 0, "NEW")
    read(pipeline)

    said = {check: notes for check, (_, notes) in foreign.verdicts(pipeline.settings, DATASET).items()}
    for check in ("manifests = rows", "nothing twice in bronze"):
        assert any(DATASET in note and "has no manifests" in note for note in said[check]), check


def changed(pipeline, table: str, name: str, value: Any) -> None:
    """Put a value into a column of the table's first row."""
    path = pipeline.places.table(table)
    held = DeltaTable(path).to_pyarrow_table()
    rows = held.to_pylist()
    target = rows[0]["record"] if table.startswith("bronze.") else rows[0]
    target[name] = value
    write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")


def test_control_verify_names_a_part_that_is_not_the_records(pipeline, shop, control):
    shop.send(FIRST, 1, 0, "NEW")
    read(pipeline)
    control.holds(foreign.wrong, pipeline.settings, DATASET)

    changed(pipeline, f"bronze.{DATASET}", "billed", {"city": "Salvador", "zip": None})

    control.objects(
        foreign.wrong, pipeline.settings, DATASET, damage=("differ from their record in billed", "of the batch")
    )


def test_control_a_tombstone_that_silver_leaves_out_is_named(pipeline, shop, control):
    shop.send(FIRST, 1, 0, "NEW")
    shop.send(FIRST, 1, 1, None)
    read(pipeline)
    assert pipeline.rows(f"silver.{DATASET}") == []
    control.holds(foreign.wrong, pipeline.settings, DATASET)

    path = pipeline.places.table(f"silver.{DATASET}_revisions")
    DeltaTable(path).delete("is_withdrawn")

    control.objects(foreign.wrong, pipeline.settings, DATASET, damage="rows of the batch over bronze are missing")


def test_of_two_records_in_one_millisecond_the_later_counts(pipeline, shop):
    """In one batch and in two, back and forth, and a tombstone among them."""
    shop.send(FIRST, 1, 0, "NEW")
    shop.send(FIRST, 1, 0, "PAID")
    shop.send(SECOND, 1, 0, "NEW")
    read(pipeline)
    shop.send(FIRST, 1, 0, "SENT")
    shop.send(SECOND, 1, 0, None)
    read(pipeline)
    assert not_newest(pipeline, shop) == []
    shop.send(SECOND, 1, 0, "PAID")
    read(pipeline)

    assert not_newest(pipeline, shop) == []
    assert pipeline.rows("silver.quarantine") == []
    assert foreign.wrong(pipeline.settings, DATASET) == []


def test_control_where_the_first_of_a_clock_counts_the_newer_value_is_hidden(pipeline, shop, control):
    shop.send(FIRST, 1, 0, "NEW")
    shop.send(FIRST, 1, 0, "PAID")
    read(pipeline)
    control.holds(not_newest, pipeline, shop)

    shop.send(SECOND, 1, 0, "NEW")
    shop.send(SECOND, 1, 0, "PAID")
    pipeline.run(pipeline.bronze(DATASET))
    job = pipeline.silver(DATASET)
    job._target = replace(job._target, last_counts=False)
    pipeline.run(job)

    control.objects(not_newest, pipeline, shop, damage="is NEW and not the newest, PAID")
    assert [row["rules"] for row in pipeline.rows("silver.quarantine")] == [["conflicting_version"]]


def test_a_field_is_the_clock_and_keys_may_be_json(pipeline, shop):
    words = {"known_from": "updated", "key_format": "json"}
    rule = {"name": "total_is_not_negative", "sql": "total >= 0", "action": "quarantine"}
    foreign.declare(pipeline.settings, DATASET, foreign.contract(shop.topic, **words, expectations=[rule]))

    def message(status: str, day: int, total: str, part: int = 1) -> tuple[bytes, bytes, int]:
        fields = {"total": Decimal(total), "updated": datetime(2024, 5, day, tzinfo=UTC)}
        value = foreign.framed(ORDER, shop.schema_id, order(FIRST, part, status, **fields))
        return json.dumps({"part": part, "orderId": FIRST}).encode(), value, MS

    later, earlier, bad = message("PAID", 3, "2.00"), message("NEW", 2, "2.00"), message("SENT", 4, "-1.00")
    gone = message("NEW", 1, "1.00", 2)
    foreign.send(pipeline.settings, shop.topic, later, earlier, bad, gone, (gone[0], None, MS + 10**9 * 20))
    read(pipeline)

    assert [(row["part"], row["status"]) for row in pipeline.rows(f"silver.{DATASET}")] == [(1, "PAID")]
    assert sorted(
        row["known_from"].day for row in pipeline.rows(f"silver.{DATASET}_revisions") if row["part"] == 1
    ) == [2, 3]
    assert [row["rules"] for row in pipeline.rows("silver.quarantine")] == [["total_is_not_negative"]]
    assert foreign.wrong(pipeline.settings, DATASET) == []


NESTED = (
    StructType()
    .add("items", ArrayType(StructType().add("a", "string").add("b", "string")))
    .add("inner", StructType().add("x", StructType().add("a", "string").add("y", "string")).add("y", "string"))
    .add("lists", ArrayType(ArrayType(StringType())))
)
DIFFERENT = [
    ([("1", None)], None, None),
    ([(None, "1")], None, None),
    ([None, ("1", None)], None, None),
    ([("1", None), None], None, None),
    ([("1", None), (None, "2")], None, None),
    ([("1", "2"), (None, None)], None, None),
    ([], None, None),
    (None, None, None),
    (None, (("1", "2"), None), None),
    (None, (("1", None), "2"), None),
    (None, (None, "2"), None),
    (None, None, [["1"], []]),
    (None, None, [[], ["1"]]),
    (None, None, [["1", None]]),
    (None, None, [["1"], None]),
]
"""Rows of which no two are one version."""


def same_hash(rows: Any, hashed: Column) -> list[str]:
    """Different rows that have one hash."""
    found: dict[int, list[str]] = {}
    for row in rows.withColumn("hash", hashed).collect():
        found.setdefault(row["hash"], []).append(str(row[:3]))
    return [f"have one hash: {' and '.join(each)}" for each in found.values() if len(each) > 1]


def test_control_values_that_differ_in_a_part_are_different_versions(spark, control):
    rows = spark.createDataFrame(DIFFERENT, NESTED)
    control.holds(same_hash, rows, version_hash(list(NESTED)))
    control.objects(same_hash, rows, F.xxhash64(*NESTED.names), damage="have one hash")


def test_a_part_that_a_contract_gains_changes_no_hash(spark):
    before = (
        StructType()
        .add("items", ArrayType(StructType().add("a", "string")))
        .add("inner", StructType().add("a", "integer"))
    )
    after = (
        StructType()
        .add("items", ArrayType(StructType().add("a", "string").add("b", "string")))
        .add("inner", StructType().add("a", "integer").add("b", "integer"))
    )
    hashes = [
        [row[0] for row in spark.createDataFrame(rows, schema).select(version_hash(list(schema))).collect()]
        for rows, schema in (([([("1",)], (2,))], before), ([([("1", None)], (2, None))], after))
    ]
    assert hashes[0] == hashes[1]
