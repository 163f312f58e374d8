"""Silver of a topic of others, compared with bronze; `apply_changes` fills the tables from rows of the test."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema, write_deltalake

from monitoring.lake import Lake
from monitoring.proof.checks import conservation, doubles, manifests, scopes, silver
from monitoring.proof.checks.model import Evidence, Outcome, Rule
from schemas.contracts import Contract, parse
from sinks import quarantine, sql, tables
from sinks.apply_changes import apply_changes
from sinks.expectations import Expectation
from sinks.history import CLOSED, Seen
from sinks.target import Bounds, SilverTarget
from sinks.transactions import Batch
from stream_jobs.columns import bronze_schema, silver_schema
from tests.foreign import contract

DATASET = "shop_orders"
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
NOT_SENT = "status <> 'SENT'"
ORDER: dict[str, Any] = {
    "billed": {"city": "São Paulo", "zip": None},
    "shipped": None,
    "lines": [],
    "tags": ["x", None],
    "updated": BEGIN,
    "labels": [("a", "1")],
    "digest": b"\x00\x01\xfe\xff",
}

Row = tuple[str, int, str | None, dict[str, Any]]
"""Order and part, milliseconds since the beginning, status or None for a tombstone, and other fields."""


class Topic:
    """Bronze and silver of the topic; all of bronze is kept here too, for rows that come late."""

    def __init__(self, lake: Path, *, last_counts: bool = True) -> None:
        self.lake = lake
        self.contract: Contract = parse(DATASET, json.dumps(contract("shop.orders")))
        names = (f"{DATASET}_revisions", DATASET, "quarantine")
        revisions, current, aside = (str(lake / "silver" / name) for name in names)
        self._bronze = str(lake / "bronze" / DATASET)
        schemas = {
            self._bronze: bronze_schema(self.contract),
            revisions: silver_schema(self.contract, revisions=True),
            current: silver_schema(self.contract, revisions=False),
        }
        for path, schema in schemas.items():
            tables.ensure(None, path, schema, statistics_on=())
        quarantine.ensure(None, aside)
        self._records = pa.schema(Schema.from_json(schemas[self._bronze].json()).to_arrow())
        columns = pa.schema(Schema.from_json(schemas[revisions].json()).to_arrow())
        self._rows = pa.schema([*columns, *(pa.field(name, pa.string()) for name in ("key", "topic", "topic_id"))])
        self.target = SilverTarget(
            dataset=DATASET,
            keys=self.contract.key,
            columns=tuple(columns.names),
            prune_by="orderId",
            expectations=(Expectation("not_sent", NOT_SENT, "quarantine"),),
            revisions=revisions,
            current=current,
            quarantine=aside,
            last_counts=last_counts,
        )
        self.was_repairing = False
        self._seen = Seen(None, None)
        self._held: list[dict[str, Any]] = []
        self._batches = 0

    def read(self, *rows: Row) -> None:
        """One batch of bronze, and of silver."""
        batch = [self._record(len(self._held) + number, *row) for number, row in enumerate(rows)]
        write_deltalake(self._bronze, pa.Table.from_pylist(batch, self._records), mode="append")
        self._held += batch
        apply_changes(self._of(batch), self.target, Batch(f"silver.{DATASET}", 0, self._batches), self)
        self._batches += 1

    def _record(self, offset: int, key: str, at: int, status: str | None, more: dict[str, Any]) -> dict[str, Any]:
        number, part = key.split("|")
        return {
            "topic_id": "one",
            "topic": "shop.orders",
            "partition": 0,
            "offset": offset,
            "kafka_timestamp": BEGIN + timedelta(milliseconds=at),
            "key": key.encode(),
            "decode_status": "ok" if status else "tombstone",
            "record": {**ORDER, "orderId": number, "part": int(part), "status": status, **more} if status else None,
            "year": 2024,
        }

    def _of(self, bronze: list[dict[str, Any]]) -> pa.Table:
        """The rows of silver, as the stream job has them."""
        found = []
        for row in bronze:
            number, part = row["key"].decode().split("|")
            fields = row["record"] or {"orderId": number, "part": int(part)}
            place = {"kafka_partition": 0, "kafka_offset": row["offset"], "topic": row["topic"], "topic_id": "one"}
            clocks = {"known_from": row["kafka_timestamp"], "retrieved_at": row["kafka_timestamp"]}
            said = None if row["record"] is None else hash(repr(row["record"]))
            more = {"version_hash": said, "is_withdrawn": row["record"] is None, "key": row["key"].decode()}
            found.append({**fields, **place, **clocks, **more})
        return pa.Table.from_pylist(found, self._rows)

    def seen(self) -> Seen:
        return self._seen

    def rows_of(self, keys: pa.Table, within: Bounds) -> pa.Table:
        return sql.only(self._of(self._held), keys, self.contract.key)

    def withdrawn_keys(self) -> pa.Table:
        return self._of([row for row in self._held if row["record"] is None]).select(list(self.contract.key))

    def closed(self) -> pa.Table:
        return CLOSED.empty_table()

    def begin_repair(self) -> None:
        self.was_repairing = True

    def end(self, batch: Seen) -> None:
        self.was_repairing = False
        pairs = ((self._seen.newest, batch.newest), (self._seen.withdrawn, batch.withdrawn))
        self._seen = Seen(*(max((each for each in pair if each is not None), default=None) for pair in pairs))

    def outcomes(self) -> list[Outcome]:
        """What the checks of bronze and silver find."""
        rules = {DATASET: (Rule("not_sent", NOT_SENT),)}
        evidence = Evidence(Lake(self.lake), {DATASET: self.contract}, rules, {}, {}, None, Path())
        checks = (silver.check_keys, silver.check_batch, conservation.check, doubles.check, manifests.check)
        return [check(evidence) for check in (*checks, scopes.check)]


def wrong(topic: Topic) -> list[str]:
    """What the checks contradict."""
    return [f"{each.where}: {each.what}" for outcome in topic.outcomes() for each in outcome.findings]


HISTORY: tuple[tuple[Row, ...], ...] = (
    (("a|1", 0, "NEW", {}), ("a|1", 0, "NEW", {"tags": [None, "x"]}), ("b|1", 1, "NEW", {}), ("b|1", 2, "SENT", {})),
    (("a|1", 0, "PAID", {}), ("b|1", 5, None, {}), ("b|2", 5, "NEW", {"share": float("nan")}), ("c|1", 6, None, {})),
    (("b|1", 5, "PAID", {}), ("c|1", 4, "NEW", {}), ("d|1", 9, "NEW", {})),
    (("d|1", 9, None, {}),),
)
"""Parts that differ, one millisecond in two batches, a tombstone before its key's first record, one after another."""


@pytest.fixture
def topic(tmp_path) -> Topic:
    made = Topic(tmp_path)
    for batch in HISTORY:
        made.read(*batch)
        assert wrong(made) == []
    return made


def test_silver_of_a_topic_of_others_is_one_batch_over_bronze(topic):
    held = DeltaTable(topic.target.current).to_pyarrow_table().to_pylist()
    assert sorted((row["orderId"], row["part"], row["status"]) for row in held) == [
        ("a", 1, "PAID"), ("b", 1, "PAID"), ("b", 2, "NEW"),
    ]  # fmt: skip
    [aside] = DeltaTable(topic.target.quarantine).to_pyarrow_table().to_pylist()
    assert aside["rules"] == ["not_sent"]
    assert json.loads(aside["record"]) | {"billed": ORDER["billed"], "tags": ["x", None]} == json.loads(aside["record"])


def test_checks_by_manifests_leave_it_out_and_say_so(topic):
    notes = [note for outcome in topic.outcomes() for note in outcome.notes if "has no manifests" in note]
    assert len(notes) == 3


def test_control_a_withdrawal_of_others_that_silver_left_out_is_named(topic, control):
    control.holds(wrong, topic)
    DeltaTable(topic.target.revisions).delete("is_withdrawn")
    control.objects(wrong, topic, damage="rows of the batch over bronze are missing")


def test_control_a_part_that_silver_has_otherwise_is_named(topic, control):
    control.holds(wrong, topic)
    for path in (topic.target.revisions, topic.target.current):
        held = DeltaTable(path).to_pyarrow_table()
        rows = [{**row, "billed": {"city": None, "zip": "São Paulo"}} for row in held.to_pylist()]
        write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")
    control.objects(wrong, topic, damage="rows of the batch over bronze are missing or different")


def test_control_where_the_first_of_a_millisecond_counts_verify_objects(topic, tmp_path, control):
    control.holds(wrong, topic)
    other = Topic(tmp_path / "other", last_counts=False)
    for batch in HISTORY:
        other.read(*batch)
    control.objects(wrong, other, damage="rows of the batch over bronze are missing or different")
