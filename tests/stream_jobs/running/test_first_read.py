"""A query that has read nothing of a table begins with its first commit where that gives the newest version's rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType

from sinks import tables
from stream_jobs.running import first_read
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.delta_offsets import by_table
from stream_jobs.silver import job as silver
from tests.pipeline import Pipeline
from tests.sinks import delta_tables
from tests.stream_jobs.running.months import BRONZE, DATASET, SILVER, compacted, once_each, published, stopped_after

FIRST_COMMIT, SNAPSHOT = {"startingVersion": "0"}, {}


@pytest.fixture
def table(tmp_path) -> str:
    """Three versions: none, one and two rows."""
    path = delta_tables.made(str(tmp_path / "table"))
    delta_tables.add(path, 1)
    delta_tables.add(path, 2)
    return path


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    found = Checkpoint("silver.numbers", tmp_path / "checkpoint")
    for log in ("offsets", "commits"):
        (found.path(0) / log).mkdir(parents=True)
    return found


def planned(checkpoint: Checkpoint, *offsets: str, batch: int = 0, ended: bool = False) -> None:
    """Spark's own file of a batch, which may have ended."""
    (checkpoint.path(0) / "offsets" / str(batch)).write_text("\n".join(["v1", "{}", *offsets]))
    if ended:
        (checkpoint.path(0) / "commits" / str(batch)).write_text("v1\n{}")


def offset(path: str, version: int, *, is_snapshot: bool) -> str:
    """As Delta's source writes it."""
    found = {"reservoirId": tables.identity(path), "reservoirVersion": version, "isStartingVersion": is_snapshot}
    return json.dumps({"sourceVersion": 1, "index": -1, **found})


def test_a_table_that_has_only_grown_is_read_from_its_first_commit(table, checkpoint):
    assert first_read.options(table, checkpoint, 0) == FIRST_COMMIT
    DeltaTable(table).alter.set_table_properties({"delta.checkpointInterval": "10"})  # the same schema once more
    assert first_read.options(table, checkpoint, 0) == FIRST_COMMIT


def without_a_row(path: str) -> None:
    DeltaTable(path).delete("number = 1")


def without_the_first_commit(path: str) -> None:
    DeltaTable(path).create_checkpoint()
    Path(path, "_delta_log", f"{0:020}.json").unlink()


def of_a_second_schema(path: str) -> None:
    DeltaTable(path).alter.add_columns([Field("more", PrimitiveType("string"))])


def of_many_commits(path: str) -> None:
    for number in range(first_read.MOST_COMMITS):
        delta_tables.add(path, number)


@pytest.mark.parametrize(
    "change", [without_a_row, compacted, without_the_first_commit, of_a_second_schema, of_many_commits]
)
def test_another_table_is_read_from_its_newest_version(table, checkpoint, change):
    change(table)
    assert first_read.options(table, checkpoint, 0) == SNAPSHOT


def test_a_table_in_a_store_is_read_from_its_first_commit_while_it_has_few(table, checkpoint, monkeypatch):
    """Each commit is a request there."""
    monkeypatch.setattr(first_read, "is_remote", lambda _: True)
    assert first_read.options(table, checkpoint, 0) == FIRST_COMMIT
    for number in range(first_read.MOST_COMMITS_IN_STORE):
        delta_tables.add(table, number)
    assert first_read.options(table, checkpoint, 0) == SNAPSHOT


def test_a_batch_that_was_planned_over_a_snapshot_goes_on_with_it(table, checkpoint):
    planned(checkpoint, "-", offset(table, 2, is_snapshot=True))
    assert first_read.options(table, checkpoint, 0) == SNAPSHOT


def test_a_batch_that_was_planned_over_commits_is_read_from_the_first_one_while_that_is_right(table, checkpoint):
    planned(checkpoint, offset(table, 3, is_snapshot=False))
    assert first_read.options(table, checkpoint, 0) == FIRST_COMMIT
    compacted(table)
    assert first_read.options(table, checkpoint, 0) == SNAPSHOT


def test_a_query_that_has_read_some_of_the_table_needs_no_beginning(table, checkpoint, tmp_path):
    other = delta_tables.made(str(tmp_path / "other"))
    planned(checkpoint, offset(table, 3, is_snapshot=False), "-", ended=True)
    assert first_read.options(table, checkpoint, 0) == {}
    assert first_read.options(other, checkpoint, 0) == FIRST_COMMIT  # it has read nothing of this one


# What silver gets of a real table, in batches of one file.


@pytest.fixture
def read(read: list[int], monkeypatch: Any) -> list[int]:
    monkeypatch.setitem(silver.READING, "maxBytesPerTrigger", "1")
    return read


def without_january(pipeline: Pipeline) -> None:
    deleted = DeltaTable(pipeline.places.table(BRONZE)).delete("record.reference_on = '2023-01-01'")
    assert deleted["num_deleted_rows"] == 1


def planned_only(pipeline: Pipeline, monkeypatch: Any) -> dict[str, Any]:
    """Start silver, which dies as soon as its first batch is planned. Returns: the offset of bronze in it."""
    stopped_after(pipeline, monkeypatch, pipeline.silver(DATASET), batches=0)
    checkpoint = Checkpoint(SILVER, pipeline.places.checkpoint(SILVER))
    offsets = by_table(checkpoint.planned(checkpoint.newest_generation()))
    return offsets[tables.identity(pipeline.places.table(BRONZE))]


def beginning_always_with_the_first_commit(monkeypatch: Any) -> None:
    monkeypatch.setattr(first_read, "options", lambda *_: first_read.FROM_THE_FIRST_COMMIT)


def test_a_first_batch_over_commits_is_repeated_with_the_same_rows_whatever_the_table_became(
    pipeline, read, monkeypatch
):
    published(pipeline, 1, 2, 3)
    assert not planned_only(pipeline, monkeypatch).get("isStartingVersion")
    compacted(pipeline.places.table(BRONZE))
    published(pipeline, 4)
    pipeline.run(pipeline.silver(DATASET))
    assert once_each(read, [1, 2, 3, 4]) == []
    assert read[0] == 1  # alone in its batch, as planned


def test_control_a_first_batch_over_a_snapshot_is_repeated_as_one(pipeline, read, monkeypatch, control):
    """A row that left the table is the reason for a snapshot. The other rows' files count from the oldest one."""

    published(pipeline, 1, 2, 3, 4)
    without_january(pipeline)
    assert planned_only(pipeline, monkeypatch)["isStartingVersion"]
    pipeline.run(pipeline.silver(DATASET))
    control.holds(once_each, read, [2, 3, 4])

    read.clear()
    pipeline.adopt(SILVER, loss_accepted_by="a test")
    assert planned_only(pipeline, monkeypatch)["isStartingVersion"]
    beginning_always_with_the_first_commit(monkeypatch)
    pipeline.run(pipeline.silver(DATASET))
    control.objects(once_each, read, [2, 3, 4], damage="stands 2 times instead of 1")


def test_control_rows_that_left_a_table_are_not_read_from_its_commits(pipeline, read, monkeypatch, control):
    published(pipeline, 1, 2, 3)
    without_january(pipeline)
    pipeline.run(pipeline.silver(DATASET))
    control.holds(once_each, read, [2, 3])

    read.clear()
    pipeline.adopt(SILVER, loss_accepted_by="a test")
    beginning_always_with_the_first_commit(monkeypatch)
    pipeline.run(pipeline.silver(DATASET))
    control.objects(once_each, read, [2, 3], damage="month 1 stands 1 times instead of 0")
