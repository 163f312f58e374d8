"""Rows are appended to a table that is compacted meanwhile, whichever of the two commits first: bronze takes no turns.

By Spark's own writer, as in earlier releases, and by the committer of every batch.
"""

import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import Transaction
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from sinks import commit as committer
from sinks import compaction
from sinks.compaction import compact
from sinks.planning import Policy, groups
from sinks.snapshot import Snapshot
from tests.sinks import delta_tables
from tests.sinks.delta_tables import TODAY, add, commit, numbers

EAGER = Policy(small_bytes=1 << 20, target_bytes=4 << 20, at_least=2)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Four rows, a file each."""
    made = delta_tables.made(str(tmp_path / "numbers"))
    for number in range(4):
        add(made, number)
    return made


def compacted(path: str) -> int:
    snapshot = Snapshot.of(path)
    return len(compact(snapshot, groups(snapshot, EAGER, TODAY), until=time.monotonic() + 60))


def first_row(spark: SparkSession, path: str) -> DataFrame:
    """Of the files as they are: who reads the table itself while writing to it appends with an eye on what is there."""
    files = Snapshot.of(path)
    return files.read_files(spark, files.files()).where("number = 0").coalesce(1)


def test_what_spark_commits_in_the_midst_of_a_compaction_stays(spark, path, monkeypatch):
    row = first_row(spark, path).withColumn("number", F.lit(100).cast("long"))

    def append(point: str) -> None:
        if point == "compaction_written":
            row.write.format("delta").mode("append").save(path)

    monkeypatch.setattr(compaction, "failpoint", append)
    assert compacted(path) == 1
    assert numbers(path) == [0, 1, 2, 3, 100]
    assert sorted(each.number for each in spark.read.format("delta").load(path).collect()) == [0, 1, 2, 3, 100]


def test_what_spark_began_before_a_compaction_is_committed_after_it(spark, path):
    """The compaction happens in a task of Spark's own write."""
    in_a_task = F.udf(lambda number: number + 100 * compacted(path), "long")
    row = first_row(spark, path)
    row.withColumn("number", in_a_task("number")).write.format("delta").mode("append").save(path)

    assert numbers(path) == [0, 1, 2, 3, 100]
    assert all(action["add"]["dataChange"] for action in commit(path) if "add" in action)
    assert not any(action["add"]["dataChange"] for action in commit(path, 5) if "add" in action)


def test_what_the_committer_appends_in_the_midst_of_a_compaction_stays(spark, path, monkeypatch):
    row = first_row(spark, path).withColumn("number", F.lit(100).cast("long"))

    def append(point: str) -> None:
        if point == "compaction_written":
            committer.append(row, path)

    monkeypatch.setattr(compaction, "failpoint", append)
    assert compacted(path) == 1
    assert numbers(path) == [0, 1, 2, 3, 100]


def test_what_the_committer_has_written_before_a_compaction_is_committed_after_it(spark, path, monkeypatch):
    row = first_row(spark, path).withColumn("number", F.lit(100).cast("long"))
    written = committer._written

    def compact_then(rows: DataFrame, snapshot: Snapshot) -> list[Any]:
        actions = list(written(rows, snapshot))
        assert compacted(path) == 1
        return actions

    monkeypatch.setattr(committer, "_written", compact_then)
    committer.append(row, path, once=Transaction("query", 7))
    assert numbers(path) == [0, 1, 2, 3, 100]
    assert committer.is_known(Snapshot.of(path).table, Transaction("query", 7))
