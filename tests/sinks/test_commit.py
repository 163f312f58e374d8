"""Files that Spark wrote, committed once by delta-rs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Transaction
from pyspark.sql import DataFrame, SparkSession

from foundation.errors import UnsafeState
from sinks import commit, tables
from sinks.arrow_frames import frame_of_tuples, struct_of
from sinks.commit import append, is_known
from sinks.snapshot import Snapshot
from tests.controls import counted

SCHEMA = "number int not null, name string, at timestamp, kind string"
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def path(spark: SparkSession, tmp_path: Path) -> str:
    """An empty table, parted by kind."""
    made = str(tmp_path / "numbers")
    tables.ensure(spark, made, struct_of(SCHEMA), partition_by=("kind",), statistics_on=("number", "name", "at"))
    return made


def rows(spark: SparkSession, *numbers: int | None, kind: str | None = "a", name: str = "n") -> DataFrame:
    """A row per number, a microsecond after one another."""
    every = [(number, name, NOON + timedelta(microseconds=number or 0), kind) for number in numbers]
    return frame_of_tuples(spark, every, SCHEMA.replace(" not null", "")).coalesce(1)


def held(path: str) -> list[int]:
    return sorted(DeltaTable(path).to_pyarrow_table()["number"].to_pylist())


def test_rows_are_appended_and_every_engine_reads_them(spark, path):
    append(rows(spark, 1, 2), path)
    append(rows(spark, 3, kind="b").unionByName(rows(spark, 4, kind=None)), path)

    assert held(path) == [1, 2, 3, 4]
    found = spark.read.format("delta").load(path).orderBy("number").collect()
    assert [(row["number"], row["kind"]) for row in found] == [(1, "a"), (2, "a"), (3, "b"), (4, None)]
    assert [row["number"] for row in Snapshot.of(path).read(spark, [("kind", "=", "b")]).collect()] == [3]


def test_columns_that_the_rows_lack_are_null_and_no_rows_are_no_commit(spark, path):
    append(frame_of_tuples(spark, [(1, "a")], "number int, kind string"), path)
    assert DeltaTable(path).to_pyarrow_table().select(["name", "at"]).to_pylist() == [{"name": None, "at": None}]
    append(rows(spark), path)
    assert DeltaTable(path).version() == 1


@pytest.mark.parametrize(("at_most", "files"), [(20, 1), (commit.ROWS_PER_FILE + 1, 2), (None, 2)])
def test_few_rows_become_one_file_however_many_tasks_read_them(spark, path, at_most, files):
    append(rows(spark, *range(20)).repartition(2), path, rows=at_most)

    assert len(DeltaTable(path).file_uris()) == files
    assert held(path) == list(range(20))


def twice(path: str, numbers: list[int]) -> list[str]:
    """The oracle: the numbers stand once each."""
    return counted(held(path), numbers, "number")


def test_a_transaction_is_committed_once(spark, path):
    for version in (7, 7, 6):
        append(rows(spark, 1), path, once=Transaction("job", version))
    append(rows(spark, 2), path, once=Transaction("job", 8))
    append(rows(spark, 3), path, once=Transaction("other", 7))

    assert twice(path, [1, 2, 3]) == []


def test_control_without_a_look_at_the_transaction_it_is_committed_again(spark, path, monkeypatch, control):
    for _ in range(2):
        append(rows(spark, 1), path, once=Transaction("job", 7))
    control.holds(twice, path, [1])
    monkeypatch.setattr(commit, "is_known", lambda *_: False)
    append(rows(spark, 1), path, once=Transaction("job", 7))
    control.objects(twice, path, [1], damage="number 1 stands 2 times instead of 1")


def test_a_transaction_is_known_from_a_checkpoint_alone_to_both_engines(spark, path):
    append(rows(spark, 1), path, once=Transaction("job", 7))
    append(rows(spark, 5), path)
    DeltaTable(path).create_checkpoint()
    for commit_file in sorted(Path(path, "_delta_log").glob("*.json"))[:-1]:
        commit_file.unlink()
    assert is_known(DeltaTable(path), Transaction("job", 7))
    assert not is_known(DeltaTable(path), Transaction("job", 8))

    names = {"txnAppId": "job", "txnVersion": "7"}
    rows(spark, 2).write.format("delta").mode("append").options(**names).save(path)
    assert held(path) == [1, 5], "Spark skips what it is told was committed"


def test_statistics_say_what_a_file_holds(spark, path):
    append(rows(spark, 3, 1, 2), path)
    append(rows(spark, 9, name="x" * 300), path)

    actions = pa.table(DeltaTable(path).get_add_actions(flatten=True)).to_pylist()
    short, long = sorted(actions, key=lambda action: action["num_records"], reverse=True)
    assert (short["min.number"], short["max.number"], short["null_count.number"]) == (1, 3, 0)
    assert (short["min.name"], short["max.at"]) == ("n", NOON + timedelta(microseconds=3))
    assert (long["min.name"], long["max.number"]) == (None, 9), "of a long text there is none"


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_no_engine_leaves_out_a_file_that_holds_the_very_microsecond(spark, path, after):
    append(rows(spark, 1, 2), path)
    at = NOON + timedelta(microseconds=after)
    expected = [after] if after in (1, 2) else []
    assert [row["number"] for row in spark.read.format("delta").load(path).where(f"at = '{at}'").collect()] == expected
    assert [row["number"] for row in Snapshot.of(path).read(spark, [("at", "=", at)]).collect()] == expected


def test_a_null_where_none_may_be_is_refused_and_nothing_is_committed(spark, path):
    with pytest.raises(UnsafeState, match="must not be null"):
        append(rows(spark, 1, None), path)
    assert (held(path), DeltaTable(path).version()) == ([], 0)


def test_rows_of_another_type_are_refused(spark, path):
    with pytest.raises(UnsafeState, match="do not fit the table"):
        append(frame_of_tuples(spark, [("1", "a")], "number string, kind string"), path)


def test_an_attempt_that_fails_before_its_commit_leaves_the_table_as_it_was(spark, path, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(commit, "partition_of", fail)
        with pytest.raises(OSError, match="no space"):
            append(rows(spark, 1), path, once=Transaction("job", 7))
    assert held(path) == []

    append(rows(spark, 1), path, once=Transaction("job", 7))
    assert held(path) == [1]
    log = sorted(Path(path, "_delta_log").glob("*.json"))[-1]
    assert sum("add" in json.loads(line) for line in log.read_text().splitlines()) == 1
