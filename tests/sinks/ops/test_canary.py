"""The canary's rows in silver and gold: one per batch, whatever is repeated."""

from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable, Transaction

from sinks.ops import canary
from sinks.ops.canary import SentCanary
from tests.controls import Control

AT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
FIRST = SentCanary("canary", int(AT.timestamp()) * 1_000_000 + 123456, 7)
SECOND = SentCanary("canary", FIRST.sent_at + 60_000_000, 9)


@pytest.fixture
def path(tmp_path):
    found = str(tmp_path / "table")
    canary.ensure(None, found)  # creating one needs no Spark
    return found


def once(batch_id):
    return Transaction("silver.pipeline_canary", batch_id)


def rows(path):
    return sorted(DeltaTable(path).to_pyarrow_table().to_pylist(), key=lambda row: row["kafka_offset"])


def twice(path):
    offsets = [row["kafka_offset"] for row in rows(path)]
    return [f"{each} stands {offsets.count(each)} times" for each in set(offsets) if offsets.count(each) > 1]


def test_a_row_says_when_it_was_sent_and_stands_in_its_days_partition(path):
    canary.append(path, FIRST, once=once(0))
    assert rows(path) == [
        {"source": "canary", "sent_at": AT, "kafka_offset": 7, "year": 2026, "month": 1, "day": 1},
    ]


def test_control_a_batch_that_is_repeated_adds_nothing(path, control: Control, monkeypatch):
    canary.append(path, FIRST, once=once(0))
    canary.append(path, SECOND, once=once(1))
    canary.append(path, FIRST, once=once(0))
    control.holds(twice, path)
    monkeypatch.setattr(canary, "is_known", lambda table, once: False)
    canary.append(path, FIRST, once=once(0))
    control.objects(twice, path, damage="7 stands 2 times")


def test_gold_holds_the_newest_alone(path):
    for batch_id, each in enumerate((FIRST, SECOND)):
        canary.replace(path, each, once=once(batch_id))
    canary.replace(path, FIRST, once=once(0))
    assert [row["sent_at"] for row in rows(path)] == [AT + timedelta(minutes=1)]
