"""One value of one economic series, as last published."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.model import GoldTable, Input, Revisions, bounds

KEY = ("series_code", "reference_on")


def touched(observations: DataFrame) -> DataFrame:
    """A group is one observation."""
    return observations.select(*KEY)


def recompute(silver: Revisions, groups: DataFrame) -> DataFrame:
    """The observations of the groups."""
    (first_code, last_code), (first_on, last_on) = bounds(groups, *KEY)
    observations = silver.newest(
        "bcb_sgs",
        within=F.col("series_code").between(first_code, last_code)
        & F.col("reference_on").between(F.lit(first_on), F.lit(last_on)),
    )
    return observations.join(groups, list(KEY), "left_semi").select(
        *KEY, "reference_end_on", "value", "known_from", "published_at_basis"
    )


TABLE = GoldTable(
    name="fact_economic_observation",
    keys=KEY,
    group=KEY,
    inputs=(Input("bcb_sgs", touched),),
    schema="""
        series_code BIGINT NOT NULL, reference_on DATE NOT NULL, reference_end_on DATE, value DECIMAL(28,13),
        known_from TIMESTAMP NOT NULL, published_at_basis STRING NOT NULL
    """,
    recompute=recompute,
)
