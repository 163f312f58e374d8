"""Operators through time, from ANATEL's accesses: a row holds from the month it was first so described.

A changed row of accesses touches its operator: the month it describes may begin, end or join a description. So the
whole history of the operators in a batch is read, of few columns; it changes once a month.
"""

from functools import reduce

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import ORGANISATION, PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions

DATASETS = ("anatel_mobile_accesses", "anatel_broadband_accesses")
DESCRIPTION = ("company", "economic_group", "provider_size")
_SOURCE = ", ".join(DATASETS)


def touched(accesses: DataFrame) -> DataFrame:
    """The operator."""
    return accesses.select("cnpj")


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """All rows of the operators."""
    ((first, last),) = groups.bounds("cnpj")
    within = between("cnpj", first, last)
    each = (silver.newest(dataset, within=within, columns=["accesses"]) for dataset in DATASETS)
    needed = ("cnpj", "reference_month_on", *DESCRIPTION, "accesses", "known_from")
    rows = reduce(DataFrame.unionByName, (frame.select(*needed) for frame in each))
    months = _described(rows.join(groups.frame, "cnpj", "left_semi"))

    by_month = Window.partitionBy("cnpj").orderBy("reference_month_on")
    is_new = ~F.col("description").eqNullSafe(F.lag("description").over(by_month))
    changes = months.withColumn("is_new", is_new).where("is_new")
    return changes.select(
        "cnpj",
        F.col("reference_month_on").alias("valid_from_on"),
        F.date_sub(F.lead("reference_month_on").over(by_month), 1).alias("valid_to_on"),
        "description.*",
        F.greatest("known_from", F.lead("known_from").over(by_month)).alias("known_from"),
    )


def _described(rows: DataFrame) -> DataFrame:
    """cnpj, reference_month_on, description, known_from; of a month's descriptions the one of most accesses."""
    description = F.struct(*DESCRIPTION)
    each = rows.groupBy("cnpj", "reference_month_on", description.alias("description")).agg(
        F.sum("accesses").alias("accesses"), F.max("known_from").alias("known_from")
    )
    return each.groupBy("cnpj", "reference_month_on").agg(
        F.max_by("description", F.struct("accesses", "description")).alias("description"),
        F.max("known_from").alias("known_from"),
    )


TABLE = GoldTable(
    name="dim_operator",
    keys=("cnpj", "valid_from_on"),
    group=("cnpj",),
    inputs=tuple(Input(dataset, touched) for dataset in DATASETS),
    about="One operator (CNPJ) as described in ANATEL's accesses, while the description is the same.",
    columns=(
        Column("cnpj", "STRING NOT NULL", "tax number of the company (CNPJ), 14 digits or letters", source=_SOURCE),
        Column("valid_from_on", "DATE NOT NULL", "first month with this description", source=_SOURCE),
        Column("valid_to_on", "DATE", "last day; null = still holds", formula="day before the next row's first"),
        Column(
            "company", "STRING", "name of the company", source=_SOURCE, formula="that of the most accesses in the month"
        ),
        Column("economic_group", "STRING", "group the company belongs to", source=_SOURCE),
        Column("provider_size", "STRING", "ANATEL's class of size", source=_SOURCE),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("valid_for_a_day_at_least", "valid_to_on >= valid_from_on", "fail"),
        Expectation("company_is_named", "company IS NOT NULL", "warn"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: ("valid_from_on", "valid_to_on", "provider_size"),
        ORGANISATION: ("cnpj", "company", "economic_group"),
        TECHNICAL: ("known_from",),
    },
)
