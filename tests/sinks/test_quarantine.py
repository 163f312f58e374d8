"""Quarantine identifies records by the topic's id too: a recreated topic has the same offsets again."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql.types import StructType

from sinks import quarantine, sql, tables
from tests.controls import counted
from tests.sinks.silver_model import Change
from tests.sinks.silver_tables import Silver

A, B = ("a", 1), ("b", 2)


@pytest.fixture
def silver(tmp_path) -> Silver:
    return Silver(tmp_path)


def anew(silver: Silver, chunk_id: str = "another") -> None:
    """The topic is deleted and made again; what it holds now was published by other chunks."""
    silver.topic_id, silver.chunk_id = "second", chunk_id
    silver.history.rows.clear()


def aside(silver: Silver) -> list[tuple[str | None, int]]:
    rows = DeltaTable(silver.target.quarantine).to_pyarrow_table().to_pylist()
    return sorted(((row["topic_id"], row["kafka_offset"]) for row in rows), key=repr)


def by_place_alone(entry: str, row: str) -> str:
    """As it was before entries had a topic id."""
    return sql.same(("topic", "kafka_partition", "kafka_offset"), entry, row)


def two_topics(silver: Silver, batch: int) -> list[str]:
    """A flawed record at one offset before and after the topic was recreated; the oracle: quarantine has both."""
    silver.topic_id, silver.chunk_id = f"first {batch}", "chunk"
    silver.apply([Change(A, 1, -1.0, batch)], batch)
    silver.topic_id, silver.chunk_id = f"second {batch}", "another"
    silver.apply([Change(B, 1, -1.0, batch)], batch + 1)
    held = [each for each in aside(silver) if each[1] == batch]
    return counted(held, [(f"first {batch}", batch), (f"second {batch}", batch)], "entry")


def test_control_by_the_place_alone_an_entry_of_the_old_topic_hides_one_of_the_new(silver, monkeypatch, control):
    control.holds(two_topics, silver, 0)
    monkeypatch.setattr(quarantine, "is_of", by_place_alone)
    control.objects(two_topics, silver, 10, damage="entry ('second 10', 10) stands 0 times instead of 1")


def late_in_a_recreated_topic(silver: Silver) -> list[str]:
    """A sound row at the place of an old entry is checked again, because a row of its key comes late."""
    silver.apply([Change(A, 1, -1.0, 0)], 0)
    anew(silver)
    silver.apply([Change(B, 5, 1.0, 0)], 1)
    silver.apply([Change(B, 3, 2.0, 1)], 2)
    return counted(silver.revisions, [0, 1], "version at offset")


def test_control_a_sound_row_is_not_taken_for_the_flawed_one_of_the_old_topic(tmp_path, monkeypatch, control):
    control.holds(late_in_a_recreated_topic, Silver(tmp_path / "1"))
    monkeypatch.setattr(quarantine, "is_of", by_place_alone)
    lost = "version at offset 0 stands 0 times instead of 1"
    control.objects(late_in_a_recreated_topic, Silver(tmp_path / "2"), damage=lost)


def of_an_older_release(silver: Silver, monkeypatch: Any) -> None:
    """The table as it was: no topic id, and one entry in it."""
    names = [name for name in quarantine.SCHEMA.names if name != "topic_id"]
    older = StructType([quarantine.SCHEMA[name] for name in names])
    path = Path(silver.target.quarantine)
    path.rename(path.with_name("not this one"))
    with monkeypatch.context() as then:
        then.setattr(quarantine, "SCHEMA", older)
        then.setattr(quarantine, "RECORD", tuple(name for name in quarantine.RECORD if name != "topic_id"))
        then.setattr(quarantine, "is_of", by_place_alone)
        quarantine.ensure(None, str(path))
        silver.apply([Change(A, 1, -1.0, 0)], 0)
    assert "topic_id" not in tables.columns_of(DeltaTable(str(path))).names


def test_an_older_table_gets_the_column_and_its_entries_are_identified_by_their_chunk(spark, silver, monkeypatch):
    of_an_older_release(silver, monkeypatch)
    quarantine.ensure(spark, silver.target.quarantine)
    assert aside(silver) == [(None, 0)]
    silver.apply([Change(A, 1, -1.0, 0)], 0, generation=1)  # bronze is read again
    assert aside(silver) == [(None, 0)]
    anew(silver)
    silver.apply([Change(B, 1, -1.0, 0)], 1)
    assert aside(silver) == [("second", 0), (None, 0)]


def test_a_conflict_of_an_older_table_is_released_once_it_is_none(silver, monkeypatch):
    with monkeypatch.context() as then:
        then.setattr(quarantine, "entries", _without_topic_id)
        silver.apply([Change(A, 5, 1.0, 0), Change(A, 5, 2.0, 1)], 0)
    assert aside(silver) == [(None, 1)]
    silver.apply([Change(A, 5, 2.0, -1)], 1)  # it came first, so the one at offset 0 is what conflicts
    assert aside(silver) == [("first", 0)]


def _without_topic_id(*arguments: Any) -> pa.Table:
    rows = _entries(*arguments)
    return rows.drop_columns("topic_id").append_column("topic_id", pa.nulls(rows.num_rows, pa.string()))


_entries = quarantine.entries
