"""An Arrow table keeps all its rows on the way to Spark, however it is cut into batches."""

from itertools import accumulate

import pyarrow as pa
import pytest

from sinks.arrow_frames import frame_of, frame_of_tuples, struct_of

COLUMNS = pa.schema(
    [
        ("number", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("value", pa.decimal128(28, 6)),
        ("name", pa.string()),
        ("rules", pa.list_(pa.string())),
    ]
)
"""Spark converts each kind of column in its own way."""


def in_batches(*sizes: int) -> pa.Table:
    """Numbers from 0, in record batches of so many rows."""
    ends = accumulate(sizes)
    batches = [
        pa.RecordBatch.from_pylist([{"number": number} for number in range(end - size, end)], schema=COLUMNS)
        for size, end in zip(sizes, ends, strict=True)
    ]
    return pa.Table.from_batches(batches, COLUMNS)


def lost(frame, rows: pa.Table) -> list[str]:
    """The oracle: every number is in the frame once."""
    there = sorted(row["number"] for row in frame.collect())
    return [] if there == rows["number"].to_pylist() else [f"of {rows.num_rows} rows {len(there)} are in the frame"]


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (0, 5, 0, 3), (1, 0, 1), (2, 0, 0, 2, 0)])
def test_every_row_is_in_the_frame_whatever_batches_are_empty(spark, sizes):
    rows = in_batches(*sizes)
    frame = frame_of(spark, rows)
    assert frame.columns == COLUMNS.names
    assert lost(frame, rows) == []


def test_control_spark_alone_ends_a_frame_at_an_empty_batch(spark, control):
    rows = in_batches(5, 0, 3)
    control.holds(lost, frame_of(spark, rows), rows)
    control.objects(lost, spark.createDataFrame(rows), rows, damage="of 8 rows 5 are in the frame")


TUPLES = [(1, "a", [("x", None)]), (None, "b", None)]
DDL = "number INT, name STRING NOT NULL, parts ARRAY<STRUCT<a: STRING, b: STRING>>"


def read_by_workers(frame) -> list[str]:
    """Which rows of the plan come from elsewhere than the plan itself: of a list, from a Python worker."""
    plan = frame._jdf.queryExecution().executedPlan().toString()
    return [line.strip() for line in plan.splitlines() if "ExistingRDD" in line]


def test_control_tuples_are_part_of_the_plan_and_no_python_worker_reads_them_back(spark, control):
    frame = frame_of_tuples(spark, TUPLES, DDL)
    assert frame.schema == struct_of(DDL)
    assert frame.collect() == spark.createDataFrame(TUPLES, DDL).collect()
    control.holds(read_by_workers, frame)
    control.objects(read_by_workers, spark.createDataFrame(TUPLES, DDL), damage="Scan ExistingRDD")


def test_of_no_tuples_comes_an_empty_frame_with_its_columns(spark):
    frame = frame_of_tuples(spark, [], struct_of(DDL))
    assert (frame.columns, frame.collect()) == (["number", "name", "parts"], [])


def test_a_tuple_of_another_length_or_type_is_refused(spark):
    for row in ((1, "a"), ("a", "a", None)):
        with pytest.raises((ValueError, TypeError)):
            frame_of_tuples(spark, [row], DDL)
