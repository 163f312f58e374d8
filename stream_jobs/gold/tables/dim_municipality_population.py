"""Inhabitants of municipalities through time: a row holds from the day its estimate is of.

Beside `dim_municipality`, which is written from the reference list and so has every municipality from the start and one
row for each. A join of accesses with the names there must not return rows twice.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.population import DATASET, IS_ESTIMATE, estimates

KEY = ("municipality_code", "valid_from_on")


def touched(cells: DataFrame) -> DataFrame:
    """The municipality: a new year ends the row of the year before."""
    return cells.where(IS_ESTIMATE).select(F.col("territory_code").alias("municipality_code"))


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """All rows of the municipalities."""
    ((first, last),) = groups.bounds("municipality_code")
    rows = estimates(silver, between("territory_code", first, last))
    in_order = Window.partitionBy("municipality_code").orderBy("reference_on")
    return rows.join(groups.frame, "municipality_code", "left_semi").select(
        "municipality_code",
        F.col("reference_on").alias("valid_from_on"),
        F.date_sub(F.lead("reference_on").over(in_order), 1).alias("valid_to_on"),
        "population",
        F.greatest("known_from", F.lead("known_from").over(in_order)).alias("known_from"),
    )


TABLE = GoldTable(
    name="dim_municipality_population",
    keys=KEY,
    group=("municipality_code",),
    inputs=(Input(DATASET, touched),),
    about="Inhabitants of one municipality by one of IBGE's estimates, until the next one.",
    columns=(
        Column("municipality_code", "STRING NOT NULL", "IBGE code, 7 digits", source=DATASET),
        Column("valid_from_on", "DATE NOT NULL", "reference day of the estimate", "", DATASET, "1 July of its year"),
        Column("valid_to_on", "DATE", "last day; null = still holds", formula="day before the next row's first day"),
        Column("population", "BIGINT NOT NULL", "inhabitants", "inhabitants", DATASET, "SIDRA 6579, variable 9324"),
        KNOWN_FROM,
    ),
    expectations=(Expectation("somebody_lives_there", "population > 0", "warn"),),
    recompute=recompute,
    classes={PUBLIC: ("municipality_code", "valid_from_on", "valid_to_on", "population"), TECHNICAL: ("known_from",)},
)
