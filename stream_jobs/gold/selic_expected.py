"""What the market expected of the Selic target, per calendar day: for the next meeting of the COPOM, and for the last
one of that meeting's year.

For a meeting, a day has the newest survey of the 30 days before it that was known by then (UTC). A meeting counts as
the next one up to the day before its last day: the decision is made in the evening of the last day.
"""

from datetime import date, timedelta

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.arrow_frames import frame_of_tuples
from sinks.snapshot import Filter, between
from stream_jobs.gold.expressions import is_assumed
from stream_jobs.gold.model import Column
from stream_jobs.gold.reference import copom_meetings
from stream_jobs.gold.thresholds import SURVEY_WITHIN_DAYS
from stream_jobs.gold.weather import Vintage

DATASET = "bcb_focus"
RESOURCE = "ExpectativasMercadoSelic"
_ALL_RESPONDENTS = 0
"""`base_calculation` 0: everyone who answered within 30 days; 1: the few who answered within the last five working
days."""

_SOURCE = f"{DATASET} {RESOURCE}"
_NEWEST = f"newest median known on the date (UTC), of a survey at most {SURVEY_WITHIN_DAYS} days old; base 0"

COLUMNS = (
    Column(
        "selic_expected_next_meeting_id",
        "STRING",
        "next COPOM meeting after the date; null without expectations",
        "",
        _SOURCE,
        "first decided_on of dim_copom_meeting after the date",
    ),
    Column(
        "selic_expected_next_percent", "DECIMAL(28,13)", "expected Selic target after it", "% a year", _SOURCE, _NEWEST
    ),
    Column("selic_expected_next_surveyed_on", "DATE", "day of that survey", "", _SOURCE),
    Column(
        "selic_expected_year_end_meeting_id",
        "STRING",
        "last COPOM meeting in the year of the next one; null without expectations",
        "",
        _SOURCE,
    ),
    Column(
        "selic_expected_year_end_percent",
        "DECIMAL(28,13)",
        "expected Selic target after it",
        "% a year",
        _SOURCE,
        _NEWEST,
    ),
)


def is_used() -> Expression:
    """Whether an expectation counts, by its key: of the Selic, and of all who answered."""
    others = (F.col(name).isNull() for name in ("indicator_detail", "smoothed", "calculation_type"))
    used = (F.col("resource") == RESOURCE) & (F.col("indicator") == "Selic")
    used &= F.col("base_calculation") == _ALL_RESPONDENTS
    for is_null in others:
        used &= is_null
    return used


def needed(first_on: date, last_on: date) -> tuple[Filter, Filter]:
    """The surveys that a range of days depends on."""
    return between("surveyed_on", first_on - timedelta(days=SURVEY_WITHIN_DAYS), last_on)


def days_of(surveyed_on: Expression) -> Expression:
    """All days for which a survey can count."""
    return F.sequence(surveyed_on, F.date_add(surveyed_on, SURVEY_WITHIN_DAYS))


def by_day(expectations: DataFrame, first_on: date, last_on: date, vintage: Vintage = ()) -> DataFrame:
    """One row per calendar day of a range, both ends included, and vintage on which anything is expected.

    Args: expectations: newest versions of `bcb_focus`, at least those that are `needed`; a null median is no value.
    Returns: date_on, the columns of `COLUMNS`, and known_from and is_assumed of the expectations that were used.
    """
    newest = F.struct("surveyed_on", "reference_period", "median", "known_from", is_assumed().alias("is_assumed"))
    by_then = expectations.where(is_used() & F.col("median").isNotNull()).select(
        *vintage,
        "reference_period",
        newest.alias("survey"),
        F.explode(days_of(F.col("surveyed_on"))).alias("date_on"),
        F.to_date("first_known_from").alias("known_on"),
    )
    known = by_then.where(
        (F.col("known_on") <= F.col("date_on")) & F.col("date_on").between(F.lit(first_on), F.lit(last_on))
    )
    meeting = F.col("reference_period")
    asked = known.join(F.broadcast(_meetings(expectations)), _is_before_the_next()).where(
        meeting.isin(F.col("next_id"), F.col("year_end_id"))
    )
    of_day = asked.groupBy(*vintage, "date_on").agg(
        F.max(F.when(meeting == F.col("next_id"), F.col("survey"))).alias("next"),
        F.max(F.when(meeting == F.col("year_end_id"), F.col("survey"))).alias("year_end"),
    )
    return of_day.select(
        *vintage,
        "date_on",
        F.col("next.reference_period").alias("selic_expected_next_meeting_id"),
        F.col("next.median").alias("selic_expected_next_percent"),
        F.col("next.surveyed_on").alias("selic_expected_next_surveyed_on"),
        F.col("year_end.reference_period").alias("selic_expected_year_end_meeting_id"),
        F.col("year_end.median").alias("selic_expected_year_end_percent"),
        F.greatest("next.known_from", "year_end.known_from").alias("known_from"),
        F.greatest("next.is_assumed", "year_end.is_assumed").alias("is_assumed"),
    )


def _meetings(any_frame: DataFrame) -> DataFrame:
    """next_id, since_on (the day of the decision before), decided_on, year_end_id: on which days which meeting is the
    next."""
    rows = [
        (each.meeting_id, each.previous_on, each.decided_on, each.year_end_id)
        for each in copom_meetings()
        if each.previous_on is not None
    ]
    schema = "next_id STRING, since_on DATE, decided_on DATE, year_end_id STRING"
    return frame_of_tuples(any_frame.sparkSession, rows, schema)


def _is_before_the_next() -> Expression:
    return (F.col("date_on") >= F.col("since_on")) & (F.col("date_on") < F.col("decided_on"))
