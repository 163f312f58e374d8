"""An Arrow table keeps all its rows on the way to Spark, however it is cut into batches."""

from itertools import accumulate

import pyarrow as pa
import pytest

from sinks.arrow_frames import frame_of


def in_batches(*sizes: int) -> pa.Table:
    """Numbers from 0, in record batches of so many rows."""
    ends = accumulate(sizes)
    batches = [
        pa.record_batch({"number": pa.array(range(end - size, end), pa.int64())})
        for size, end in zip(sizes, ends, strict=True)
    ]
    return pa.Table.from_batches(batches, pa.schema([("number", pa.int64())]))


def lost(frame, rows: pa.Table) -> list[str]:
    """The oracle: every number is in the frame once."""
    there = sorted(row["number"] for row in frame.collect())
    return [] if there == rows["number"].to_pylist() else [f"of {rows.num_rows} rows {len(there)} are in the frame"]


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (0, 5, 0, 3), (1, 0, 1), (2, 0, 0, 2, 0)])
def test_every_row_is_in_the_frame_whatever_batches_are_empty(spark, sizes):
    rows = in_batches(*sizes)
    frame = frame_of(spark, rows)
    assert frame.columns == ["number"]
    assert lost(frame, rows) == []


def test_control_spark_alone_ends_a_frame_at_an_empty_batch(spark, control):
    rows = in_batches(5, 0, 3)
    control.holds(lost, frame_of(spark, rows), rows)
    control.objects(lost, spark.createDataFrame(rows), rows, damage="of 8 rows 5 are in the frame")
