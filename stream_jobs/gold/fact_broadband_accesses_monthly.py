"""Fixed-broadband accesses per month, municipality and technology."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.expectations import Expectation
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions, bounds

DATASET = "anatel_broadband_accesses"
KEY = ("reference_month_on", "municipality_code", "technology")


def touched(accesses: DataFrame) -> DataFrame:
    """A group is one month of one technology in one municipality."""
    return _named(accesses).select(*KEY)


def recompute(silver: Revisions, groups: DataFrame) -> DataFrame:
    """Sums of the groups."""
    ((first_on, last_on),) = bounds(groups, "reference_month_on")
    rows = silver.newest(
        DATASET,
        within=F.col("reference_month_on").between(F.lit(first_on), F.lit(last_on)),
        columns=["accesses"],
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
    inputs=(Input(DATASET, touched),),
    about="Fixed-broadband accesses of one month, municipality and technology.",
    columns=(
        Column("reference_month_on", "DATE NOT NULL", "first day of the month", source=DATASET),
        Column("municipality_code", "STRING NOT NULL", "IBGE code; empty where the source names none", source=DATASET),
        Column("technology", "STRING NOT NULL", "access technology; empty where the source names none", source=DATASET),
        Column("accesses", "BIGINT NOT NULL", "accesses in service", "accesses", DATASET, "sum"),
        Column("providers", "BIGINT NOT NULL", "providers with an access", "providers", DATASET, "distinct CNPJ"),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("accesses_not_negative", "accesses >= 0", "warn"),
        Expectation("some_provider", "providers >= 1", "fail"),
    ),
    recompute=recompute,
)
