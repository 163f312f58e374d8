"""`silver.quarantine`: rows that decode but break an expectation, or contradict a version that stands."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import ArrayType, StringType, StructType

from sinks import tables
from sinks.append import append
from sinks.transactions import Batch

NAME = "quarantine"

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


def write(rows: DataFrame, path: str, *, dataset: str, batch: Batch) -> None:
    """Append the rows that the table does not hold: once per batch, and once per record in a full re-read.

    Args:
        rows: frame with the table's columns but `dataset`.
    """
    here = ("topic", "kafka_partition", "kafka_offset")
    held = tables.read(rows.sparkSession, path).where(F.col("dataset") == dataset).select(*here)
    fresh = rows.withColumn("dataset", F.lit(dataset)).join(held, list(here), "left_anti").select(*SCHEMA.names)
    append(fresh, path, batch=batch, table=NAME)
