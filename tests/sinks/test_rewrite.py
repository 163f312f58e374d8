"""Rows replaced by writing anew the files that hold them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable as DeltaTables
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from sinks import tables
from sinks.commit import append
from sinks.rewrite import rewrite
from sinks.snapshot import FILE, Snapshot

SCHEMA = "number int, name string, note string"


@pytest.fixture
def path(spark: SparkSession, tmp_path: Path) -> str:
    """Two files: numbers 1 and null, and number 2, each with a note."""
    made = str(tmp_path / "numbers")
    tables.ensure(spark, made, spark.createDataFrame([], SCHEMA).schema, statistics_on=("number",))
    for numbers in ((1, None), (2,)):
        rows = [(number, "old", "noted") for number in numbers]
        append(spark.createDataFrame(rows, SCHEMA).coalesce(1), made)
    return made


def held(path: str) -> list[tuple[Any, ...]]:
    rows = DeltaTable(path).to_pyarrow_table().to_pylist()
    return sorted((tuple(row.values()) for row in rows), key=str)


def test_rows_go_and_come_and_a_file_without_them_stays(spark, path):
    snapshot = Snapshot.of(path)
    [other] = snapshot.files([("number", "=", 2)])
    gone = snapshot.read(spark).where("number IS NULL")
    addresses = [row[0] for row in gone.select(FILE).distinct().collect()]
    rows = spark.createDataFrame([(3, "new")], "number int, name string")

    rewrite(snapshot, addresses, gone, ["number"], rows=rows, count=1)

    assert held(path) == [(1, "old", "noted"), (2, "old", "noted"), (3, "new", None)]
    assert other in Snapshot.of(path).files()
    assert DeltaTable(path).version() == snapshot.version + 1


def replaced(path: str, replace: Callable[[], None]) -> list[str]:
    """The oracle: the new row of number 2 says nothing of the column that it lacks."""
    replace()
    [row] = [row for row in held(path) if row[0] == 2]
    return [] if row == (2, "new", None) else [f"row 2 still says {row[2]}"]


def test_control_a_merge_of_the_columns_that_rows_have_keeps_what_the_old_row_said(spark, path, control):
    """A column that a contract has lost stays in the table; rows are replaced whole, and Delta's MERGE sets columns."""
    table = DeltaTables.forPath(spark, path).alias("t")
    new = spark.createDataFrame([(2, "new")], "number int, name string").alias("s")

    def rewritten() -> None:
        snapshot = Snapshot.of(path)
        gone = snapshot.read(spark, [("number", "=", 2)])
        addresses = [row[0] for row in gone.select(FILE).collect()]
        rewrite(snapshot, addresses, gone, ["number"], rows=new, count=1)

    def merged() -> None:
        append(spark.createDataFrame([(2, "old", "noted")], SCHEMA), path)
        table.delete("name = 'new'")
        table.merge(new, "t.number = s.number").whenMatchedUpdate(set={"name": "s.name"}).execute()

    control.holds(replaced, path, rewritten)
    control.objects(replaced, path, merged, damage="row 2 still says noted")


def test_rows_may_only_go(spark, path):
    snapshot = Snapshot.of(path)
    gone = snapshot.read(spark, [("number", "=", 2)])
    rewrite(snapshot, [row[0] for row in gone.select(FILE).collect()], gone, ["number"])
    assert held(path) == [(1, "old", "noted"), (None, "old", "noted")]
