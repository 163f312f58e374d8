"""`silver.quarantine`: rows that decode but break an expectation, or contradict a version that stands."""

from collections.abc import Sequence

from deltalake import Transaction
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, StringType, StructType

from sinks import tables
from sinks.commit import append
from sinks.frames import fixed
from sinks.rewrite import addresses, rewrite
from sinks.snapshot import FILE, Snapshot

NAME = "quarantine"
CONFLICT = "conflicting_version"
"""Stands for the rule that a row has broken which contradicts the version at its own (key, known_from)."""

_PLACE = ("topic", "kafka_partition", "kafka_offset")

SCHEMA = (
    StructType()
    .add("dataset", "string")
    .add("key", "string")
    .add("rules", ArrayType(StringType()))
    .add("record", "string")
    .add("known_from", "timestamp")
    .add("topic", "string")
    .add("kafka_partition", "integer")
    .add("kafka_offset", "long")
    .add("chunk_id", "string")
)


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table: one partition per dataset, so that the datasets' queries never conflict."""
    tables.ensure(
        spark, path, SCHEMA, partition_by=("dataset",), statistics_on=("known_from", "kafka_offset", "chunk_id")
    )


def entries(rows: DataFrame, columns: Sequence[str], rules: Column) -> DataFrame:
    """Rows as the table holds them.

    Args:
        rows: with `key`, `topic` and the columns.
        columns: of the row itself, kept as JSON.
        rules: names of what each broke.
    """
    return rows.select(
        "key",
        rules.alias("rules"),
        F.to_json(F.struct(*columns)).alias("record"),
        "known_from",
        *_PLACE,
        "chunk_id",
    )


def add(rows: DataFrame, path: str, *, dataset: str, once: Transaction | None = None) -> None:
    """Append the rows that the table does not hold: each record once, in a full re-read too.

    Args:
        rows: frame with the table's columns but `dataset`.
        once: as of `append`.
    """
    held = _held(Snapshot.of(path), rows.sparkSession, dataset).select(*_PLACE)
    fresh = rows.withColumn("dataset", F.lit(dataset)).join(held, list(_PLACE), "left_anti")
    append(fresh.select(*SCHEMA.names), path, once=once)


def release(rows: DataFrame, path: str, *, dataset: str) -> None:
    """Take out those of the rows that stand in the table for a conflict: they conflict no more.

    Args:
        rows: topic, kafka_partition and kafka_offset.
    """
    table = Snapshot.of(path)
    in_conflict = _held(table, rows.sparkSession, dataset).where(F.array_contains("rules", CONFLICT))
    with fixed(in_conflict.join(rows, list(_PLACE), "left_semi").select(*_PLACE, FILE)) as gone:
        rewrite(table, addresses(gone), gone, _PLACE)


def _held(table: Snapshot, spark: SparkSession, dataset: str) -> DataFrame:
    return table.read(spark, [("dataset", "=", dataset)])
