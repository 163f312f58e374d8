"""The canary in silver: the newest of each batch, appended, so that gold can follow. See docs/adr/0022.

It is processed like every row: by its own query with guards, checkpoint, locks and restarts, and a commit under the
batch's transaction id. It has no revisions, no rules and no late rows, because nobody needs its past values.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.contracts import CANARY, CANARY_TABLE, load
from sinks.ops import canary
from sinks.transactions import Batch
from stream_jobs.bronze.job import ensure_table
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.jobs import Driver

BRONZE, SILVER = f"bronze.{CANARY_TABLE}", f"silver.{CANARY_TABLE}"

READING = {"skipChangeCommits": "true"}
"""Days older than a month are removed from the tables: stream_jobs/running/maintained_tables.py."""


def newest(batch: DataFrame) -> canary.SentCanary | None:
    """The canary of a batch that was sent last; None in a batch that holds none."""
    row = batch.agg(F.max(F.struct(F.unix_micros("sent_at").alias("at"), "source", "kafka_offset")).alias("it")).first()
    if row is None or row["it"] is None:
        return None
    return canary.SentCanary(row["it"]["source"], row["it"]["at"], row["it"]["kafka_offset"])


class SilverCanary(FollowingJob):
    """The query from bronze to silver."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(SILVER, (BRONZE,), driver, self._append)

    def prepare(self) -> None:
        """Lock the table, and create or widen it and bronze as declared."""
        spark, place = self._driver.spark, self._driver.places.table
        self._driver.locks.acquire(self.name)
        ensure_table(spark, place(BRONZE), load(CANARY))
        canary.ensure(spark, place(SILVER))

    def input(self) -> DataFrame:
        """The canaries that decoded."""
        return (
            self.stream(self._driver.places.table(BRONZE), READING)
            .where("decode_status = 'ok'")
            .select("record.source", "record.sent_at", F.col("offset").alias("kafka_offset"))
        )

    def _append(self, batch: DataFrame, batch_id: int) -> None:
        found, this = newest(batch), Batch(self.name, self._generation, batch_id)
        if found is not None:
            canary.append(self._driver.places.table(SILVER), found, once=this.once(CANARY_TABLE))
