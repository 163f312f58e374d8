"""From station-hours to station-days: the civil day of an hour, and what is computed over it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.snapshot import Filter
from stream_jobs.gold.expressions import exact_mean, exact_sum, is_assumed, literal_map
from stream_jobs.gold.model import Column, Revisions
from stream_jobs.gold.reference import capitals, own_station_zones, state_zones
from stream_jobs.gold.thresholds import COMPLETE_DAY_FROM_HOURS

# Every zone of Brazil is behind UTC by at most five hours: civil day D lies within [D 00:00, D+1 05:00) UTC.
FURTHEST_BEHIND_UTC = timedelta(hours=5)
WESTERNMOST, EASTERNMOST = "-05:00", "-01:00"
"""The clocks of Acre and of Fernando de Noronha in summer time: every other zone is between them."""

HOURS = "inmet_hourly"

Vintage = tuple[str, ...]
"""Columns that tell instants apart: see `Revisions.vintage`."""

DAY_COLUMNS = (
    Column("hours_observed", "BIGINT NOT NULL", "hours with a temperature", "h", HOURS, "different hours"),
    Column("rain_hours_observed", "BIGINT NOT NULL", "hours with a value of rain", "h", HOURS, "different hours"),
    Column("temperature_mean_celsius", "DOUBLE", "mean air temperature", "°C", HOURS, "mean of the hours with a value"),
    Column("temperature_max_celsius", "DOUBLE", "highest air temperature", "°C", HOURS, "greatest hourly maximum"),
    Column("temperature_min_celsius", "DOUBLE", "lowest air temperature", "°C", HOURS, "least hourly minimum"),
    Column(
        "relative_humidity_mean_percent",
        "DOUBLE",
        "mean relative humidity",
        "%",
        HOURS,
        "mean of the hours with a value",
    ),
    Column("rain_mm", "DOUBLE", "rain", "mm", HOURS, "sum; null when no hour has a value"),
    Column("wind_speed_mean_m_s", "DOUBLE", "mean wind speed", "m/s", HOURS, "mean of the hours with a value"),
    Column("wind_gust_max_m_s", "DOUBLE", "strongest gust", "m/s", HOURS, "greatest hourly gust"),
    Column(
        "pressure_mean_hpa", "DOUBLE", "mean pressure at the station", "hPa", HOURS, "mean of the hours with a value"
    ),
    Column(
        "global_radiation_kj_m2", "DOUBLE", "global radiation", "kJ/m²", HOURS, "sum; null when no hour has a value"
    ),
    Column(
        "is_complete",
        "BOOLEAN NOT NULL",
        "whether enough hours of the day were observed",
        formula=f"hours_observed ≥ {COMPLETE_DAY_FROM_HOURS}",
    ),
)

DAY_PUBLIC = (
    "hours_observed",
    "rain_hours_observed",
    "temperature_mean_celsius",
    "temperature_max_celsius",
    "temperature_min_celsius",
    "relative_humidity_mean_percent",
    "rain_mm",
    "wind_speed_mean_m_s",
    "wind_gust_max_m_s",
    "pressure_mean_hpa",
    "global_radiation_kj_m2",
    "is_complete",
)
"""Those of them that say nothing of people (schemas/classes.py): named, for there is no default."""

HOURLY = (
    "air_temperature_celsius",
    "air_temperature_max_celsius",
    "air_temperature_min_celsius",
    "relative_humidity_percent",
    "rain_mm",
    "wind_speed_m_s",
    "wind_gust_m_s",
    "pressure_hpa",
    "global_radiation_kj_m2",
)
"""What a day is made of."""


def civil_day(observed_at: Expression, time_zone: Expression | str) -> Expression:
    """The date on the wall clock of a zone; summer time as it was in force then."""
    return F.to_date(F.from_utc_timestamp(observed_at, time_zone))


def possible_days(observed_at: Expression) -> Expression:
    """The one or two civil days an hour can belong to, wherever in Brazil its station stands."""
    return F.array_distinct(F.array(*(civil_day(observed_at, zone) for zone in (WESTERNMOST, EASTERNMOST))))


def in_days(observed_at: str, first_on: date, last_on: date) -> tuple[Filter, Filter]:
    """Whether a column's instant can belong to one of these civil days, both ends included."""
    begin = datetime.combine(first_on, time(), UTC)
    end = datetime.combine(last_on + timedelta(days=1), time(), UTC) + FURTHEST_BEHIND_UTC
    return (observed_at, ">=", begin), (observed_at, "<", end)


def zone_of_state() -> Expression:
    """A constant map: state (two letters) → its time zone."""
    return literal_map(state_zones())


def station_zones(stations: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """Station → time zone of its state, by the newest metadata that name one we know.

    Args: stations: newest versions of `inmet_stations`. Returns: station_code, time_zone.
    """
    time_zone = zone_of_state()[F.col("uf")].alias("time_zone")
    known = stations.select(*vintage, "station_code", "valid_from_on", time_zone)
    return (
        known.where(F.col("time_zone").isNotNull())
        .groupBy(*vintage, "station_code")
        .agg(F.max_by("time_zone", "valid_from_on").alias("time_zone"))
    )


def with_civil_day(hours: DataFrame, zones: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """Hours with `date_on`. The zone of a capital's station, or of a station in a municipality with a zone of its own,
    is known without metadata; hours of any other station wait for its metadata."""
    zone_of_station = literal_map({capital.station_code: capital.time_zone for capital in capitals()})
    own, station = literal_map(own_station_zones()), F.col("station_code")
    zone = F.coalesce(own[station], F.col("time_zone"), zone_of_station[station])
    return (
        hours.join(F.broadcast(zones), [*vintage, "station_code"], "left")
        .withColumn("date_on", civil_day(F.col("observed_at"), zone))
        .where(F.col("date_on").isNotNull())
        .drop("time_zone")
    )


def daily(hours: DataFrame, vintage: Vintage = ()) -> DataFrame:
    """One row per station and civil day that has a row of hours: key, `DAY_COLUMNS`, known_from, is_assumed.

    Maximum and minimum are those of the hourly extremes, which describe the hour before the instant. A sum of no value
    is null, never 0. Hours without a value do not count, but their day exists.
    """
    temperature = _hours_with("air_temperature_celsius")
    return hours.groupBy(*vintage, "station_code", "date_on").agg(
        temperature.alias("hours_observed"),
        _hours_with("rain_mm").alias("rain_hours_observed"),
        exact_mean("air_temperature_celsius").alias("temperature_mean_celsius"),
        F.max("air_temperature_max_celsius").alias("temperature_max_celsius"),
        F.min("air_temperature_min_celsius").alias("temperature_min_celsius"),
        exact_mean("relative_humidity_percent").alias("relative_humidity_mean_percent"),
        exact_sum("rain_mm").alias("rain_mm"),
        exact_mean("wind_speed_m_s").alias("wind_speed_mean_m_s"),
        F.max("wind_gust_m_s").alias("wind_gust_max_m_s"),
        exact_mean("pressure_hpa").alias("pressure_mean_hpa"),
        exact_sum("global_radiation_kj_m2").alias("global_radiation_kj_m2"),
        (temperature >= COMPLETE_DAY_FROM_HOURS).alias("is_complete"),
        F.max("known_from").alias("known_from"),
        F.max(is_assumed()).alias("is_assumed"),
    )


def _hours_with(column: str) -> Expression:
    """How many different hours hold a value: a file may bring half hours too."""
    hour = F.when(F.col(column).isNotNull(), F.date_trunc("hour", "observed_at"))
    return F.size(F.collect_set(hour)).cast("bigint")


def days_of_groups(
    silver: Revisions, groups: DataFrame, first_on: date, last_on: date, stations: Sequence[Filter]
) -> DataFrame:
    """The station-days in the groups (station_code, date_on), as `daily` gives them.

    Args: first_on, last_on, stations: bounds of all groups, so that no other hour is read.
    """
    in_time = in_days("observed_at", first_on, last_on)
    hours = silver.newest("inmet_hourly", within=[*in_time, *stations], columns=HOURLY)
    zones = station_zones(silver.newest("inmet_stations", within=stations, columns=["uf"]), silver.vintage)
    days = with_civil_day(hours, zones, silver.vintage)
    return daily(days.join(groups, [*silver.vintage, "station_code", "date_on"], "left_semi"), silver.vintage)


def days_of_stations(silver: Revisions, within: Sequence[Filter]) -> DataFrame:
    """(station_code, date_on) of every civil day that hours may belong to.

    New metadata can move a station to another zone, and so its hours to other days: the former days are included.
    """
    hours = silver.newest("inmet_hourly", within=within, columns=[])
    return hours.select("station_code", F.explode(possible_days(F.col("observed_at"))).alias("date_on")).distinct()
