"""Inhabitants per municipality, from IBGE's yearly estimates: as they are, and as they were known on a day.

Table 6579 of SIDRA. The estimate of a year is of the 1st of July and is published about the end of August. There is
none for the years of a census, and for some more: the estimate before stays in force.
"""

from collections.abc import Iterable, Sequence

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from sinks.snapshot import Filter
from stream_jobs.gold.expressions import is_assumed
from stream_jobs.gold.model import Column, Revisions
from stream_jobs.gold.weather import Vintage

DATASET = "ibge_sidra"
IS_ESTIMATE = "table_id = 6579 AND variable_code = '9324' AND territory_level = '6' AND period_code RLIKE '^[0-9]{4}$'"
"""Key columns only: the estimates of municipalities among all that SIDRA publishes."""

_KNOWN = "newest estimate that was known on the date (UTC)"
_PER_100 = "accesses per 100 inhabitants"
COLUMNS = (
    Column("population_reference_on", "DATE", "reference day of the population", "", DATASET, _KNOWN),
    Column("population", "BIGINT", "inhabitants of the capital", "inhabitants", DATASET, _KNOWN),
    Column(
        "mobile_accesses_per_100",
        "DOUBLE",
        "mobile accesses of people per 100 inhabitants",
        _PER_100,
        "",
        "mobile_accesses / population × 100; null if either is unknown",
    ),
    Column(
        "broadband_accesses_per_100",
        "DOUBLE",
        "fixed-broadband accesses per 100 inhabitants",
        _PER_100,
        "",
        "broadband_accesses / population × 100; null if either is unknown",
    ),
)


def reference_on() -> Expression:
    """The day that the estimate of the row's year is of."""
    return F.make_date(F.col("period_code").try_cast("int"), F.lit(7), F.lit(1))


def estimates(silver: Revisions, within: Sequence[Filter]) -> DataFrame:
    """municipality_code, reference_on, population and the clocks of every estimate that has a value.

    Args: within: of `territory_code`, the municipality.
    """
    cells = silver.newest(DATASET, within=within, columns=["value"]).where(IS_ESTIMATE)
    return cells.where(F.col("value").isNotNull()).select(
        *silver.vintage,
        F.col("territory_code").alias("municipality_code"),
        reference_on().alias("reference_on"),
        F.round("value").cast("bigint").alias("population"),
        "known_from",
        "first_known_from",
        is_assumed().alias("is_assumed"),
    )


def known(silver: Revisions, municipality_codes: Iterable[str]) -> DataFrame:
    """Per municipality and span of days, the newest estimate that was known then.

    Args: municipality_codes: always the same ones, because the result is cached from batch to batch.
    Returns: municipality_code, from_on, until_on (the day after the last; null if it still holds), and newest: a struct
        of reference_on, population, known_from, is_assumed.
    """
    within = [("territory_code", "in", sorted(municipality_codes))]
    place = [*silver.vintage, "municipality_code"]

    def build() -> DataFrame:
        newest = F.max(F.struct("reference_on", "population", "known_from", "is_assumed")).alias("newest")
        learned = estimates(silver, within).groupBy(*place, F.to_date("first_known_from").alias("from_on")).agg(newest)
        in_order = Window.partitionBy(*place).orderBy("from_on")
        so_far = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
        return learned.withColumns(
            {"newest": F.max("newest").over(so_far), "until_on": F.lead("from_on").over(in_order)}
        )

    return silver.cached("population", (DATASET,), build)


def with_population(days: DataFrame, spans: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """Days of municipalities with population, its day, and its clocks; null where none was known.

    Args: days: municipality_code, date_on and others. spans: as `known` gives them.
    """
    place = (*vintage, "municipality_code")
    named = spans.select(*(F.col(name).alias(f"of_{name}") for name in place), "from_on", "until_on", "newest")
    holds = (F.col("date_on") >= F.col("from_on")) & (
        F.col("until_on").isNull() | (F.col("date_on") < F.col("until_on"))
    )
    for name in place:
        holds = holds & (F.col(name) == F.col(f"of_{name}"))
    return (
        days.join(F.broadcast(named), holds, "left")
        .withColumns(
            {
                "population": F.col("newest.population"),
                "population_reference_on": F.col("newest.reference_on"),
                "population_known_from": F.col("newest.known_from"),
                "population_is_assumed": F.col("newest.is_assumed"),
            }
        )
        .drop(*(f"of_{name}" for name in place), "from_on", "until_on", "newest")
    )


def per_100(accesses: str) -> Expression:
    """Accesses per 100 inhabitants."""
    return F.try_divide(F.col(accesses).cast("double"), F.col("population").cast("double")) * 100
