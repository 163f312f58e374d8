"""One version of a table, read by the list of its files."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from foundation.errors import UnsafeState
from sinks import tables
from sinks.snapshot import FILE, Snapshot, between, predicate

MIDNIGHT = datetime(2025, 1, 1, tzinfo=UTC)
SCHEMA = "number int, name string, day date, at timestamp"


def rows(number: int) -> pa.Table:
    """One row; its values grow with the number."""
    row = {
        "number": number,
        "name": f"A{number}",
        "day": date(2025, 1, 1) + timedelta(days=number),
        "at": MIDNIGHT + timedelta(days=number, microseconds=1),
    }
    types = [("number", pa.int32()), ("name", pa.string()), ("day", pa.date32()), ("at", pa.timestamp("us", "UTC"))]
    return pa.Table.from_pylist([row], schema=pa.schema(types))


@pytest.fixture
def path(spark: SparkSession, tmp_path: Path) -> str:
    """A table of three files with a row each: 0, 1 and 2."""
    made = str(tmp_path / "a folder" / "numbers")
    schema = spark.createDataFrame([], SCHEMA).schema
    tables.ensure(spark, made, schema, statistics_on=("number", "name", "day", "at"))
    for number in range(3):
        write_deltalake(made, rows(number), mode="append")
    return made


def numbers(frame: Any) -> list[int]:
    return sorted(row["number"] for row in frame.collect())


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([("number", ">=", 1)], [1, 2]),
        ([("number", "<", 1)], [0]),
        ([("name", "=", "A1")], [1]),
        ([("name", "in", ["A0", "A2"])], [0, 2]),
        (between("day", date(2025, 1, 2), date(2025, 1, 3)), [1, 2]),
        ([("at", ">=", MIDNIGHT + timedelta(days=1, microseconds=1))], [1, 2]),
        ([("at", ">", MIDNIGHT + timedelta(days=1, microseconds=1))], [2]),
        ([("number", ">=", 1), ("name", "<=", "A1")], [1]),
        ([("number", ">=", None)], []),
        ([("name", ">=", ""), ("name", "<", "A1")], [0]),
        ([("name", "in", ["", "A2"])], [2]),
        ([], [0, 1, 2]),
    ],
    ids=str,
)
def test_filters_leave_out_files_and_rows(spark, path, filters, found):
    snapshot = Snapshot.of(path)
    assert numbers(snapshot.read(spark, filters)) == found
    assert len(snapshot.files(filters)) >= len(found)
    if None not in [value for _, _, value in filters]:
        assert numbers(snapshot.read(spark).where(predicate(filters))) == found


def test_files_that_cannot_hold_such_rows_are_not_read(path):
    assert len(Snapshot.of(path).files([("day", "=", date(2025, 1, 2))])) == 1


def test_instants_that_spark_hands_out_in_the_hosts_zone_are_the_same_instants(spark, path):
    [first] = Snapshot.of(path).read(spark, [("number", "=", 1)]).select("at").collect()
    assert first["at"].tzinfo is None
    assert numbers(Snapshot.of(path).read(spark, between("at", first["at"], first["at"]))) == [1]


def test_what_is_committed_later_is_not_seen(spark, path):
    frame = Snapshot.of(path).read(spark)
    write_deltalake(path, rows(3), mode="append")
    assert numbers(frame) == [0, 1, 2]


def test_control_sparks_own_read_sees_the_newest_version_each_time(spark, path, control):
    def changed(frame: Any) -> list[str]:
        before = frame.count()
        write_deltalake(path, rows(3), mode="append")
        return [f"{before} rows became {frame.count()}"] if frame.count() != before else []

    control.holds(changed, Snapshot.of(path).read(spark))
    control.objects(changed, spark.read.format("delta").load(path), damage="4 rows became 5")


def test_a_row_names_the_file_it_stands_in(path):
    snapshot = Snapshot.of(path)
    [name] = snapshot.scan(["number"], [("number", "=", 1)]).read_all()[FILE].to_pylist()
    assert snapshot.named([name]) == snapshot.files([("number", "=", 1)])


def test_a_lake_behind_a_link_is_read_as_well(spark, path, tmp_path):
    (tmp_path / "link").symlink_to(Path(path).parent)
    snapshot = Snapshot.of(str(tmp_path / "link" / "numbers"))
    assert numbers(snapshot.read(spark, [("number", "=", 1)])) == [1]
    [name] = snapshot.scan(["number"], [("number", "=", 1)]).read_all()[FILE].to_pylist()
    assert snapshot.named([name]) == snapshot.files([("number", "=", 1)])


def test_a_column_that_the_table_has_gained_is_null_in_older_files(spark, path):
    wider = spark.createDataFrame([], f"{SCHEMA}, note string").schema
    tables.ensure(spark, path, wider, statistics_on=("number",))
    assert [row["note"] for row in Snapshot.of(path).read(spark).collect()] == [None] * 3


def test_a_table_whose_files_alone_do_not_say_what_its_rows_are_is_refused(spark, path):
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    assert DeltaTable(path).protocol().min_reader_version > 1
    with pytest.raises(UnsafeState, match="uses Delta features"):
        Snapshot.of(path)


def test_few_rows_are_read_here_and_too_many_are_not(path):
    snapshot = Snapshot.of(path)
    found = snapshot.few(["number"], [("number", ">", 0)], most=3)
    assert found is not None
    assert sorted(found["number"].to_pylist()) == sorted(
        snapshot.scan(["number"], [("number", ">", 0)]).read_all()["number"].to_pylist()
    )
    assert snapshot.few(["number"], [], most=2) is None
    nothing = snapshot.few(["number"], [("number", ">", 99)], most=3)
    assert nothing is not None
    assert (nothing.num_rows, nothing.column_names) == (0, ["number"])


@pytest.mark.parametrize("filters", [[("text", ">=", "b")], [("text", "in", ["b"]), ("number", "=", 2)]])
def test_texts_are_found_in_files_that_delta_rs_has_rewritten(tmp_path, filters):
    """It writes texts as views, with which Arrow compares nothing while it reads a file."""
    path = str(tmp_path / "rewritten")
    write_deltalake(path, pa.table({"text": ["a", "b", "c"], "number": [1, 2, 3]}))
    DeltaTable(path).delete("number = 3")
    assert Snapshot.of(path).scan(["number"], filters).read_all()["number"].to_pylist() == [2]
