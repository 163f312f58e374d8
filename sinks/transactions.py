"""Delta's transaction identifiers: what makes a repeated micro-batch change nothing.

A table remembers, per app id, the highest version it has seen, and skips a statement that brings it again. So every
statement on a table has an app id of its own (a second one with the same pair would be skipped silently), and an app
id never serves two lives of a checkpoint: batch ids restart at 0, and the new batches would be taken for old ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import SparkSession

APP_ID = "spark.databricks.delta.write.txnAppId"
VERSION = "spark.databricks.delta.write.txnVersion"


@dataclass(frozen=True)
class Batch:
    """One micro-batch of one life of a query.

    Attributes:
        job: the query, such as `silver.inmet_hourly`.
        generation: which life of its checkpoint.
        batch_id: Spark's, from 0 in each life.
    """

    job: str
    generation: int
    batch_id: int

    def app_id(self, table: str) -> str:
        """The app id of the job's one statement on a table."""
        return f"{self.job}.{table}.g{self.generation}"


@contextmanager
def transaction(spark: SparkSession, batch: Batch, table: str) -> Iterator[None]:
    """Mark the one Delta statement inside as this batch's on this table.

    Args:
        spark: the batch's own session; the marks are session-wide, and no other query must see them.
        table: the table's name; with the job and the generation it makes the app id.
    """
    spark.conf.set(APP_ID, batch.app_id(table))
    spark.conf.set(VERSION, str(batch.batch_id))
    try:
        yield
    finally:
        spark.conf.unset(APP_ID)
        spark.conf.unset(VERSION)
