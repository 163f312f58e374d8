"""`silver.quarantine`: rows that decode but break an expectation, or contradict a version that stands."""

from collections.abc import Sequence
from functools import reduce

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
RECORD = ("topic_id", *_PLACE, "chunk_id")
"""What names the record that an entry is of, as `is_of` compares it."""

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
    .add("topic_id", "string")
)


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table: one partition per dataset, so that the datasets' queries never conflict.

    One of an older release gets the column `topic_id`, null in the rows that it holds.
    """
    tables.ensure(
        spark, path, SCHEMA, partition_by=("dataset",), statistics_on=("known_from", "kafka_offset", "chunk_id")
    )


def entries(rows: DataFrame, columns: Sequence[str], rules: Column) -> DataFrame:
    """Rows as the table holds them.

    Args:
        rows: with `key`, `topic`, `topic_id` and the columns.
        columns: of the row itself, kept as JSON.
        rules: names of what each broke.
    """
    return rows.select(
        "key",
        rules.alias("rules"),
        F.to_json(F.struct(*columns)).alias("record"),
        "known_from",
        *RECORD,
    )


def is_of(entry: str, row: str) -> Column:
    """Whether an entry stands for a row: two aliases of frames with the columns `RECORD`.

    A topic that is made anew repeats its predecessor's places. Of
    entries without a topic id the chunk tells the record.
    """
    told, meant = F.col(f"{entry}.topic_id"), F.col(f"{row}.topic_id")
    in_chunk = F.col(f"{entry}.chunk_id").eqNullSafe(F.col(f"{row}.chunk_id"))
    at_place = [F.col(f"{entry}.{name}") == F.col(f"{row}.{name}") for name in _PLACE]
    return reduce(Column.__and__, at_place) & F.when(told.isNull(), in_chunk).otherwise(told == meant)


def add(rows: DataFrame, path: str, *, dataset: str, once: Transaction | None = None) -> None:
    """Append the rows that the table does not hold: each record once, in a full re-read too.

    Args:
        rows: frame with the table's columns but `dataset`.
        once: as of `append`.
    """
    held = _held(Snapshot.of(path), rows.sparkSession, dataset).select(*RECORD)
    marked = rows.withColumn("dataset", F.lit(dataset))
    fresh = marked.alias("r").join(held.alias("q"), is_of("q", "r"), "left_anti")
    append(fresh.select(*SCHEMA.names), path, once=once)


def release(rows: DataFrame, path: str, *, dataset: str) -> None:
    """Take out those of the rows that stand in the table for a conflict: they conflict no more.

    Args:
        rows: with the columns `RECORD`.
    """
    table = Snapshot.of(path)
    in_conflict = _held(table, rows.sparkSession, dataset).where(F.array_contains("rules", CONFLICT))
    of_rows = in_conflict.alias("q").join(rows.alias("r"), is_of("q", "r"), "left_semi")
    with fixed(of_rows.select(*RECORD, FILE)) as gone:
        rewrite(table, addresses(gone), gone, RECORD)


def _held(table: Snapshot, spark: SparkSession, dataset: str) -> DataFrame:
    return table.read(spark, [("dataset", "=", dataset)])
