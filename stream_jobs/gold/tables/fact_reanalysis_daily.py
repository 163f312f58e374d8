"""Reanalysed weather per point and civil day: used where no station observed.

Widening: a changed hour touches the civil day it belongs to at its point. Points never move.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.reanalysis import DATASET, DAY_COLUMNS, days_of_groups, point_day

GROUP = ("municipality_code", "date_on")


def touched(hours: DataFrame) -> DataFrame:
    """Point and civil day."""
    date_on = point_day(F.col("valid_at"), F.col("point_id")).alias("date_on")
    return hours.select(F.col("point_id").alias("municipality_code"), date_on).where(F.col("date_on").isNotNull())


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The point-days of the groups, of every model."""
    (first_on, last_on), (first_point, last_point) = groups.bounds("date_on", "municipality_code")
    days = days_of_groups(silver, groups.frame, first_on, last_on, between("point_id", first_point, last_point))
    return days.select(*(column.name for column in TABLE.columns))


TABLE = GoldTable(
    name="fact_reanalysis_daily",
    keys=("municipality_code", "date_on", "model"),
    group=GROUP,
    inputs=(Input(DATASET, touched),),
    about="One point (a municipality), civil day and model of Open-Meteo's archive; its newest hours are forecasts.",
    columns=(
        Column(
            "municipality_code",
            "STRING NOT NULL",
            "IBGE code of the point's municipality; of a site of the settings its `code@latitude,longitude`",
        ),
        Column("date_on", "DATE NOT NULL", "civil day on the municipality's wall clock"),
        Column("model", "STRING NOT NULL", "weather model, such as best_match", source=DATASET),
        *DAY_COLUMNS,
        KNOWN_FROM,
    ),
    expectations=(
        Expectation(
            "at_most_25_hours", "hours_available + forecast_hours <= 25 AND rain_hours_available <= 25", "fail"
        ),
        Expectation("rain_not_negative", "rain_mm >= 0", "warn"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: (
            "municipality_code",
            "date_on",
            "model",
            "hours_available",
            "forecast_hours",
            "temperature_mean_celsius",
            "temperature_max_celsius",
            "temperature_min_celsius",
            "relative_humidity_mean_percent",
            "rain_hours_available",
            "rain_mm",
            "wind_speed_mean_m_s",
            "is_complete",
        ),
        TECHNICAL: ("known_from",),
    },
)
