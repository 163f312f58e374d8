"""Recomputed groups replace what the table held of them, and nothing else."""

from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from foundation.errors import UnsafeState
from sinks import recompute as module
from sinks import tables
from sinks.expectations import Expectation
from sinks.recompute import GoldTarget, recompute, replace
from sinks.transactions import Batch
from tests.controls import counted
from tests.sinks.test_frames import persisted

COLUMNS = "month int not null, place string not null, total int"


class Gold:
    """A table of totals per month and place, recomputed month by month."""

    def __init__(self, spark: SparkSession, path: Path) -> None:
        self.spark = spark
        self.target = GoldTarget("totals", str(path), ("month", "place"), ("month",), ("month", "place", "total"))
        tables.ensure(spark, str(path), spark.createDataFrame([], COLUMNS).schema, statistics_on=("month",))

    def recompute(self, months: list[int], rows: list[tuple[int, str, int]], batch_id: int) -> None:
        groups = self.spark.createDataFrame([(month,) for month in months], "month int")
        recompute(self.spark.createDataFrame(rows, COLUMNS), groups, self.target, Batch("gold.totals", 0, batch_id))

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in DeltaTable(self.target.path).to_pyarrow_table().to_pylist())

    @property
    def files(self) -> list[str]:
        return sorted(DeltaTable(self.target.path).file_uris())


@pytest.fixture
def gold(spark: SparkSession, tmp_path: Path) -> Gold:
    made = Gold(spark, tmp_path / "totals")
    made.recompute([1, 2], [(1, "a", 10), (1, "b", 11), (2, "a", 20)], batch_id=0)
    return made


def test_a_group_is_replaced_whole_and_other_groups_stay(gold):
    gold.recompute([1], [(1, "a", 15), (1, "c", 12)], batch_id=1)

    assert gold.rows == [(1, "a", 15), (1, "c", 12), (2, "a", 20)]


def test_control_without_looking_for_rows_that_vanished_a_stale_one_stays(gold, monkeypatch, control):
    """The join keeps only what was recomputed."""
    changes = module._changes

    def month(number: int, rows: list[tuple[int, str, int]], batch_id: int) -> list[str]:
        gold.recompute([number], rows, batch_id)
        return counted((row for row in gold.rows if row[0] == number), rows, "row")

    control.holds(month, 1, [(1, "a", 15)], 1)
    gold.recompute([1], [(1, "a", 15), (1, "c", 12)], 2)
    monkeypatch.setattr(module, "_changes", lambda *given: changes(*given).where(F.col(module.ACTION) != "delete"))
    control.objects(month, 1, [(1, "a", 15)], 3, damage="row (1, 'c', 12) stands 1 times instead of 0")


def test_control_with_persisted_frames_a_commit_between_judging_and_writing_doubles_a_row(
    spark, tmp_path, monkeypatch, control
):
    """Judged was that b is new; written would be, in Spark's shared cache, what silver says by then: a has changed."""

    def doubled(name: str) -> list[str]:
        silver = str(tmp_path / f"silver of {name}")
        newest = "month int, place string, total int, version int"
        versions = [(1, "a", 10, 0), (1, "b", 12, 1)]
        spark.createDataFrame(versions[:1], newest).write.format("delta").save(silver)
        gold = Gold(spark, tmp_path / name)
        groups = spark.createDataFrame([(1,)], "month int")

        def rows() -> DataFrame:
            revisions = spark.read.format("delta").load(silver)
            return revisions.groupBy("month", "place").agg(F.max_by("total", "version").alias("total"))

        def commits(found: object) -> None:
            later = spark.newSession().createDataFrame([(1, "a", 15, 2)], newest)
            later.write.format("delta").mode("append").save(silver)

        recompute(rows(), groups, gold.target, Batch("gold.totals", 0, 0))
        spark.createDataFrame(versions[1:], newest).write.format("delta").mode("append").save(silver)
        recompute(rows(), groups, gold.target, Batch("gold.totals", 0, 1), commits)
        return counted(gold.rows, [(1, "a", 10), (1, "b", 12)], "row")

    control.holds(doubled, "fixed")
    monkeypatch.setattr(module, "fixed", persisted)
    control.objects(doubled, "persisted", damage="row (1, 'a', 15) stands 1 times instead of 0")


def test_the_same_rows_again_rewrite_no_file(gold):
    before = gold.files
    gold.recompute([1, 2], [(1, "a", 10), (1, "b", 11), (2, "a", 20)], batch_id=1)
    assert gold.files == before

    gold.recompute([3], [(3, "a", 30)], batch_id=2)
    assert set(gold.files) > set(before)  # what is only new leaves all other files as they are


def test_a_repeated_batch_is_skipped_even_if_it_would_compute_otherwise(gold):
    gold.recompute([2], [(2, "a", 21)], batch_id=0)

    assert (2, "a", 20) in gold.rows


def test_a_group_without_rows_is_emptied_where_the_group_is_the_key(spark, tmp_path):
    gold = Gold(spark, tmp_path / "totals")
    gold.target = GoldTarget("totals", gold.target.path, ("month", "place"), ("month", "place"), gold.target.columns)
    groups = spark.createDataFrame([(1, "a"), (2, "a")], "month int, place string")
    for batch_id, rows in enumerate(([(1, "a", 10), (2, "a", 20)], [(2, "a", 21)])):
        recompute(spark.createDataFrame(rows, COLUMNS), groups, gold.target, Batch("gold.totals", 0, batch_id))

    assert gold.rows == [(2, "a", 21)]


def test_a_static_table_is_written_only_when_its_content_changed(spark, tmp_path):
    path = str(tmp_path / "days")
    rows = spark.range(5).withColumnRenamed("id", "day")

    assert [replace(rows, path), replace(rows, path), replace(rows.limit(4), path)] == [True, False, True]
    assert DeltaTable(path).to_pyarrow_table().num_rows == 4


def test_rows_that_are_written_are_held_against_expectations_and_fail_stops_before_the_write(spark, tmp_path):
    gold = Gold(spark, tmp_path / "totals")
    rules = (Expectation("small", "total < 10", "warn"), Expectation("positive", "total > 0", "fail"))
    gold.target = replace_fields(gold.target, expectations=rules)

    def judged(rows, batch_id):
        groups = spark.createDataFrame([(1,)], "month int")
        batch = Batch("gold.totals", 0, batch_id)
        found = recompute(spark.createDataFrame(rows, COLUMNS), groups, gold.target, batch)
        return found.rows, dict(found.broken), found.flawed

    assert judged([(1, "a", 5), (1, "b", 20)], 0) == (2, {"small": 1, "positive": 0}, 1)
    assert judged([(1, "a", 5), (1, "b", 20)], 1) == (0, {"small": 0, "positive": 0}, 0), "nothing is written"
    assert judged([(1, "a", 30)], 2) == (1, {"small": 1, "positive": 0}, 1), "a row that goes is not judged"
    before = gold.rows
    with pytest.raises(UnsafeState, match=r"1 rows break positive \(total > 0\)"):
        judged([(1, "a", -1)], 3)
    assert gold.rows == before
    gold.target = replace_fields(gold.target, expectations=rules[:1])
    judged([(1, "a", -1)], 3)
    assert gold.rows == [(1, "a", -1)], "the control: without the rule it is written"
