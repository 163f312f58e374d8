"""Exchange rates per currency and day, from the bulletins of PTAX."""

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.weather import civil_day, in_days

DATASET = "bcb_ptax"
KEY = ("currency_code", "date_on")
TIME_ZONE = "America/Sao_Paulo"
"""Brasília's wall clock, which the bulletins are dated by."""

IS_CLOSING = "bulletin_type LIKE 'Fechamento%'"
"""`Fechamento`, which some end points call `Fechamento PTAX`."""


def touched(bulletins: DataFrame) -> DataFrame:
    """The bulletin's currency and day."""
    return bulletins.select("currency_code", _day().alias("date_on"))


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The days of the groups."""
    ((first_on, last_on),) = groups.bounds("date_on")
    bulletins = silver.newest(
        DATASET,
        within=in_days("quoted_at", first_on, last_on),
        columns=["buying_rate", "selling_rate"],
    ).withColumn("date_on", _day())

    def closing(rate: str) -> Expression:
        order = F.struct("quoted_at", "bulletin_type")
        return F.max_by(F.when(F.expr(IS_CLOSING), F.col(rate)), F.when(F.expr(IS_CLOSING), order))

    return (
        bulletins.join(groups.frame, list(KEY), "left_semi")
        .groupBy(*KEY)
        .agg(
            closing("buying_rate").alias("closing_buying"),
            closing("selling_rate").alias("closing_selling"),
            F.min("selling_rate").alias("lowest_selling"),
            F.max("selling_rate").alias("highest_selling"),
            F.count(F.lit(1)).alias("bulletins"),
            F.max("known_from").alias("known_from"),
        )
    )


def _day() -> Expression:
    return civil_day(F.col("quoted_at"), TIME_ZONE)


def _rate(name: str, meaning: str, formula: str) -> Column:
    return Column(name, "DECIMAL(18,8)", meaning, "BRL per unit of the currency", DATASET, formula)


TABLE = GoldTable(
    name="fact_fx_daily",
    keys=KEY,
    group=KEY,
    inputs=(Input(DATASET, touched),),
    about="One currency and day of PTAX.",
    columns=(
        Column("currency_code", "STRING NOT NULL", "ISO 4217", source=DATASET),
        Column("date_on", "DATE NOT NULL", "day on Brasília's wall clock", source=DATASET),
        _rate("closing_buying", "buying rate of the closing bulletin", "null until the closing"),
        _rate("closing_selling", "selling rate of the closing bulletin", "null until the closing"),
        _rate("lowest_selling", "lowest selling rate of the day's bulletins", "minimum"),
        _rate("highest_selling", "highest selling rate of the day's bulletins", "maximum"),
        Column("bulletins", "BIGINT NOT NULL", "bulletins of the day: five on a working day", "bulletins", DATASET),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("buying_at_most_selling", "closing_buying <= closing_selling", "warn"),
        Expectation("selling_within_the_day", "closing_selling BETWEEN lowest_selling AND highest_selling", "fail"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: (
            "currency_code",
            "date_on",
            "closing_buying",
            "closing_selling",
            "lowest_selling",
            "highest_selling",
            "bulletins",
        ),
        TECHNICAL: ("known_from",),
    },
)
