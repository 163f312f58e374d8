"""Fixed-broadband accesses per month, municipality and technology."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.model import GoldTable, Input, Revisions, bounds

KEY = ("reference_month_on", "municipality_code", "technology")


def touched(accesses: DataFrame) -> DataFrame:
    """A group is one month of one technology in one municipality."""
    return _named(accesses).select(*KEY)


def recompute(silver: Revisions, groups: DataFrame) -> DataFrame:
    """Sums of the groups."""
    ((first_on, last_on),) = bounds(groups, "reference_month_on")
    rows = silver.newest(
        "anatel_broadband_accesses", within=F.col("reference_month_on").between(F.lit(first_on), F.lit(last_on))
    )
    return (
        _named(rows)
        .join(groups, list(KEY), "left_semi")
        .groupBy(*KEY)
        .agg(
            F.sum("accesses").alias("accesses"),
            F.count_distinct("cnpj").alias("providers"),
            F.max("known_from").alias("known_from"),
        )
    )


def _named(rows: DataFrame) -> DataFrame:
    """A key is never null: where ANATEL leaves municipality or technology empty, it is the empty text."""
    return rows.fillna("", ["municipality_code", "technology"])


TABLE = GoldTable(
    name="fact_broadband_accesses_monthly",
    keys=KEY,
    group=KEY,
    inputs=(Input("anatel_broadband_accesses", touched),),
    schema="""
        reference_month_on DATE NOT NULL, municipality_code STRING NOT NULL, technology STRING NOT NULL,
        accesses BIGINT NOT NULL, providers BIGINT NOT NULL, known_from TIMESTAMP NOT NULL
    """,
    recompute=recompute,
)
