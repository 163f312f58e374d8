"""From the hours of a reanalysis to days of a point, in the units of the observed ones."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.snapshot import Filter
from stream_jobs.gold.expressions import exact_mean, exact_sum, is_assumed, literal_map
from stream_jobs.gold.model import Column, Revisions
from stream_jobs.gold.reference import capitals, own_zones
from stream_jobs.gold.thresholds import COMPLETE_DAY_FROM_HOURS
from stream_jobs.gold.weather import Vintage, civil_day, in_days, zone_of_state

DATASET = "openmeteo_archive"
KM_H_PER_M_S = 3.6

DAY_COLUMNS = (
    Column(
        "hours_available", "BIGINT NOT NULL", "past hours with a temperature", "h", DATASET, "count without forecasts"
    ),
    Column(
        "forecast_hours",
        "BIGINT NOT NULL",
        "hours whose value was a forecast at the last fetch",
        "h",
        DATASET,
        "count of the hours that end after their own fetch; the day's values include them",
    ),
    Column(
        "temperature_mean_celsius", "DOUBLE", "mean air temperature", "°C", DATASET, "mean of the hours with a value"
    ),
    Column("temperature_max_celsius", "DOUBLE", "highest air temperature", "°C", DATASET, "greatest hourly value"),
    Column("temperature_min_celsius", "DOUBLE", "lowest air temperature", "°C", DATASET, "least hourly value"),
    Column(
        "relative_humidity_mean_percent",
        "DOUBLE",
        "mean relative humidity",
        "%",
        DATASET,
        "mean of the hours with a value",
    ),
    Column(
        "rain_hours_available",
        "BIGINT NOT NULL",
        "past hours with a value of precipitation",
        "h",
        DATASET,
        "count without forecasts",
    ),
    Column("rain_mm", "DOUBLE", "precipitation", "mm", DATASET, "sum; null when no hour has a value"),
    Column("wind_speed_mean_m_s", "DOUBLE", "mean wind speed", "m/s", DATASET, "mean of wind_speed_km_h / 3.6"),
    Column(
        "is_complete",
        "BOOLEAN NOT NULL",
        "whether the day has enough hours",
        formula=f"hours_available ≥ {COMPLETE_DAY_FROM_HOURS} and forecast_hours = 0",
    ),
)

VALUES = ("air_temperature_celsius", "relative_humidity_percent", "precipitation_mm", "wind_speed_km_h")
HOURLY = (*VALUES, "is_forecast", "retrieved_at")

# The first two digits of a municipality's code are its state's.
_UF_OF_CODE = {capital.municipality_code[:2]: capital.uf for capital in capitals()}


def point_day(valid_at: Expression, point_id: Expression) -> Expression:
    """The civil day of an hour at a point, whose name begins with its municipality; null for a point outside Brazil."""
    of_state = zone_of_state()[literal_map(_UF_OF_CODE)[F.substring(point_id, 1, 2)]]
    return civil_day(valid_at, F.coalesce(literal_map(own_zones())[municipality_of(point_id)], of_state))


def municipality_of(point_id: Expression) -> Expression:
    """The code with which a point's name begins."""
    return F.substring(point_id, 1, 7)


def is_forecast() -> Expression:
    """Whether an hour that has a value ends after it was fetched. Then it cannot be a measurement. Newer records have a
    flag for it; for older ones it follows from the time of the fetch.
    """
    has_value = F.coalesce(*VALUES).isNotNull()
    return has_value & F.coalesce(F.col("is_forecast"), F.col("valid_at") > F.col("retrieved_at"), F.lit(False))


def daily(hours: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """One row per point, model and civil day: key, `DAY_COLUMNS`, known_from, is_assumed.

    The values are computed from all hours there are, so that a day that is not over shows its forecast. Forecasts are
    counted separately, and a day with forecasts is not complete; it becomes complete with the fetch that finds all its
    hours past.

    Args: hours: newest versions of `openmeteo_archive` with `date_on`.
    """
    past = ~is_forecast()
    available = F.count(F.when(past, F.col("air_temperature_celsius")))
    forecasts = F.count_if(is_forecast())
    return hours.groupBy(*vintage, F.col("point_id").alias("municipality_code"), "model", "date_on").agg(
        available.alias("hours_available"),
        forecasts.alias("forecast_hours"),
        exact_mean("air_temperature_celsius").alias("temperature_mean_celsius"),
        F.max("air_temperature_celsius").alias("temperature_max_celsius"),
        F.min("air_temperature_celsius").alias("temperature_min_celsius"),
        exact_mean("relative_humidity_percent").alias("relative_humidity_mean_percent"),
        F.count(F.when(past, F.col("precipitation_mm"))).alias("rain_hours_available"),
        exact_sum("precipitation_mm").alias("rain_mm"),
        (exact_mean("wind_speed_km_h") / KM_H_PER_M_S).alias("wind_speed_mean_m_s"),
        ((available >= COMPLETE_DAY_FROM_HOURS) & (forecasts == 0)).alias("is_complete"),
        F.max("known_from").alias("known_from"),
        F.max(is_assumed()).alias("is_assumed"),
    )


def days_of_groups(
    silver: Revisions, groups: DataFrame, first_on: date, last_on: date, points: Sequence[Filter]
) -> DataFrame:
    """The point-days in the groups (municipality_code, date_on), for every model, as `daily` gives them.

    Args: first_on, last_on, points: bounds of all groups, so that no other hour is read.
    """
    in_time = in_days("valid_at", first_on, last_on)
    hours = silver.newest(DATASET, within=[*in_time, *points], columns=HOURLY)
    days = hours.withColumn("date_on", point_day(F.col("valid_at"), F.col("point_id"))).where("date_on IS NOT NULL")
    wanted = groups.select(*silver.vintage, F.col("municipality_code").alias("point_id"), "date_on")
    return daily(days.join(wanted, [*silver.vintage, "point_id", "date_on"], "left_semi"), silver.vintage)
