"""One value of one economic series, as last published."""

from pyspark.sql import DataFrame

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions

KEY = ("series_code", "reference_on")


def touched(observations: DataFrame) -> DataFrame:
    """A group is one observation."""
    return observations.select(*KEY)


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The observations of the groups."""
    (first_code, last_code), (first_on, last_on) = groups.bounds(*KEY)
    observations = silver.newest(
        "bcb_sgs",
        within=[*between("series_code", first_code, last_code), *between("reference_on", first_on, last_on)],
    )
    return observations.join(groups.frame, list(KEY), "left_semi").select(
        *KEY, "reference_end_on", "value", "known_from", "published_at_basis"
    )


TABLE = GoldTable(
    name="fact_economic_observation",
    keys=KEY,
    group=KEY,
    inputs=(Input("bcb_sgs", touched),),
    about="One value of one economic series, as last published.",
    columns=(
        Column("series_code", "BIGINT NOT NULL", "code in the Banco Central's SGS", source="bcb_sgs"),
        Column("reference_on", "DATE NOT NULL", "first day of the period that is described", source="bcb_sgs"),
        Column("reference_end_on", "DATE", "last day of the period, if the source states it", source="bcb_sgs"),
        Column("value", "DECIMAL(28,13)", "the value", "of the series: dim_economic_series", "bcb_sgs"),
        KNOWN_FROM,
        Column("published_at_basis", "STRING NOT NULL", "clock from which known_from was taken", source="bcb_sgs"),
    ),
    expectations=(Expectation("value_is_present", "value IS NOT NULL", "warn"),),
    recompute=recompute,
    classes={
        PUBLIC: ("series_code", "reference_on", "reference_end_on", "value"),
        TECHNICAL: ("known_from", "published_at_basis"),
    },
)
