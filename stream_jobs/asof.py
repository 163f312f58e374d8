"""Silver as any instant knew it, from revisions. Never by Delta time travel, which ends where VACUUM begins."""

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from schemas.contracts import load
from sinks import tables
from stream_jobs.places import Places

ASSUMED = "assumed_lag"
"""The basis of a publication clock that the producer inferred and did not measure."""


@dataclass(frozen=True)
class Known:
    """What was known of every dataset at one instant; the accessor that gold tables are recomputed from.

    Attributes:
        at: versions known from later on do not exist; None stands for now.
        measured_only: leave out versions whose publication clock is assumed.
    """

    spark: SparkSession
    places: Places
    at: datetime | None = None
    measured_only: bool = False

    def newest(self, dataset: str, *, within: Column | None = None) -> DataFrame:
        """Per key the version with the greatest (known_from, kafka_offset), with the columns of revisions."""
        revisions = tables.read(self.spark, self.places.table(f"silver.{dataset}_revisions"))
        if within is not None:
            revisions = revisions.where(within)
        if self.at is not None:
            revisions = revisions.where(F.col("known_from") <= F.lit(self.at))
        if self.measured_only:
            revisions = revisions.where(F.col("published_at_basis") != ASSUMED)
        columns = revisions.columns
        newest = F.max_by(F.struct(*columns), F.struct("known_from", "kafka_offset")).alias("newest")
        return revisions.groupBy(*load(dataset).key).agg(newest).select("newest.*")


def as_of(
    spark: SparkSession, places: Places, dataset: str, instant: datetime, *, measured_only: bool = False
) -> DataFrame:
    """A dataset as it was known at an instant, one row per key.

    Args:
        instant: with its time zone; what became known at that very instant counts.

    Raises:
        ValueError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone names no instant")
    return Known(spark, places, instant, measured_only).newest(dataset)
