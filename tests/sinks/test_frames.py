"""The frame that was checked is the one that is written, whatever is committed meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from sinks.frames import materialized


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """What `fixed` would be with Spark's shared cache."""
    kept = frame.persist()
    try:
        yield kept
    finally:
        kept.unpersist()


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> str:
    """Ten rows."""
    path = str(tmp_path / "numbers")
    spark.range(10).write.format("delta").save(path)
    return path


def kept_of_ten(kept: DataFrame, table: str) -> list[str]:
    """The oracle: a frame of ten rows has ten after another session has appended five."""
    before = kept.count()
    spark = kept.sparkSession.newSession()
    spark.range(5).write.format("delta").mode("append").save(table)
    after = kept.count()
    return [] if before == after else [f"{before} rows were judged, and {after} are to be written"]


def test_a_fixed_frame_does_not_see_what_another_session_appends(spark, table):
    with materialized(spark.read.format("delta").load(table)) as kept:
        assert kept_of_ten(kept, table) == []


def test_control_a_persisted_frame_is_computed_anew(spark, table, control):
    with materialized(spark.read.format("delta").load(table)) as kept:
        control.holds(kept_of_ten, kept, table)
    with persisted(spark.read.format("delta").load(table)) as kept:
        control.objects(kept_of_ten, kept, table, damage="15 rows were judged, and 20 are to be written")


def test_its_rows_are_freed_at_the_end(spark, table):
    held = spark.sparkContext._jsc.getPersistentRDDs
    with materialized(spark.read.format("delta").load(table)) as kept:
        kept.count()
        own = kept._jdf.queryExecution().analyzed().rdd().id()
        assert own in set(held())  # beside those of other tests in this JVM
    assert own not in set(held())
