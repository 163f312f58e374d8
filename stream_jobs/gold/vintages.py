"""The features as they were known on past days: what a back-test may train on.

    training_set(spark, places, [origin, …], days=90)

Every row has `origin_at` and `known_from ≤ origin_at`. It comes from the functions that fill gold, over the revisions
that were known at the origin: never from gold's present content and never by Delta time travel, because VACUUM removes
old versions.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from stream_jobs.gold.groups import Groups
from stream_jobs.gold.reference import factor_places
from stream_jobs.gold.tables.external_factors_daily import TABLE
from stream_jobs.places import Places
from stream_jobs.silver.asof import VINTAGE, KnownAtEach, Snapshots

DAYS = 365
"""The default number of days before an origin."""

GROUPS = pa.schema({VINTAGE: pa.timestamp("us", "UTC"), "date_on": pa.date32(), "municipality_code": pa.string()})


def training_set(
    spark: SparkSession,
    places: Places,
    origins: Iterable[datetime],
    *,
    days: int = DAYS,
    municipality_codes: Sequence[str] | None = None,
    measured_only: bool = False,
) -> DataFrame:
    """The features that each origin knew, in one pass over silver for all origins.

    Args:
        origins: instants with their time zones; what became known at that very instant counts.
        days: civil days up to the origin's (UTC), which is the last one.
        municipality_codes: of capitals and of places of the settings; None for all of them.
        measured_only: leave out versions whose publication clock was assumed, which history fetched late has.

    Returns: origin_at and the columns of `external_factors_daily`; `known_from_basis` says which clock a row used.

    Raises:
        ValueError: an origin has no time zone, there is none, or days is not positive.
    """
    instants = tuple(sorted(set(origins)))
    if not instants or days < 1:
        raise ValueError("a training set needs an origin and at least one day")
    if any(origin.tzinfo is None for origin in instants):
        raise ValueError("an origin without a time zone names no instant")
    codes = [place.municipality_code for place in factor_places()] if municipality_codes is None else municipality_codes
    groups = [(origin, day, code) for origin in instants for day in _days_before(origin, days) for code in codes]
    columns = dict(zip(GROUPS.names, zip(*groups, strict=True), strict=True))
    known = KnownAtEach(spark, Snapshots(places), instants, measured_only)
    return TABLE.recompute(known, Groups(spark, pa.table(columns, schema=GROUPS)))


def features_as_of(
    spark: SparkSession,
    places: Places,
    origin: datetime,
    *,
    days: int = DAYS,
    municipality_codes: Sequence[str] | None = None,
    measured_only: bool = False,
) -> DataFrame:
    """The features that one origin knew: as `training_set`."""
    return training_set(
        spark, places, [origin], days=days, municipality_codes=municipality_codes, measured_only=measured_only
    )


def _days_before(origin: datetime, days: int) -> list[date]:
    last_on = origin.astimezone(UTC).date()
    return [last_on - timedelta(days=n) for n in range(days)]
