"""From station-hours to station-days: the civil day of an hour, and what is computed over it."""

from datetime import UTC, date, datetime, time, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from stream_jobs.gold.expressions import exact_mean, exact_sum, literal_map
from stream_jobs.gold.model import Revisions
from stream_jobs.gold.reference import capitals, time_zones
from stream_jobs.gold.thresholds import COMPLETE_DAY_FROM_HOURS

# Every zone of Brazil is behind UTC, by five hours at most: civil day D lies within [D 00:00, D+1 05:00) UTC.
FURTHEST_BEHIND_UTC = timedelta(hours=5)

DAY_COLUMNS = {
    "hours_observed": "BIGINT NOT NULL",
    "rain_hours_observed": "BIGINT NOT NULL",
    "temperature_mean_celsius": "DOUBLE",
    "temperature_max_celsius": "DOUBLE",
    "temperature_min_celsius": "DOUBLE",
    "relative_humidity_mean_percent": "DOUBLE",
    "rain_mm": "DOUBLE",
    "wind_speed_mean_m_s": "DOUBLE",
    "wind_gust_max_m_s": "DOUBLE",
    "pressure_mean_hpa": "DOUBLE",
    "global_radiation_kj_m2": "DOUBLE",
    "is_complete": "BOOLEAN NOT NULL",
}


def civil_day(observed_at: Column, time_zone: Column | str) -> Column:
    """The date on the wall clock of a zone; summer time as it was in force then."""
    return F.to_date(F.from_utc_timestamp(observed_at, time_zone))


def possible_days(observed_at: Column) -> Column:
    """The one or two civil days an hour can belong to, in whichever of the capitals' zones its station stands."""
    return F.array_distinct(F.array(*(civil_day(observed_at, zone) for zone in time_zones())))


def from_day(observed_at: Column, first_on: date) -> Column:
    """Whether an instant can belong to a civil day or a later one; a literal, so that files prune."""
    return observed_at >= F.lit(datetime.combine(first_on, time(), UTC))


def to_day(observed_at: Column, last_on: date) -> Column:
    """Whether an instant can belong to a civil day or an earlier one."""
    return observed_at < F.lit(datetime.combine(last_on + timedelta(days=1), time(), UTC) + FURTHEST_BEHIND_UTC)


def station_zones(stations: DataFrame) -> DataFrame:
    """Station → time zone of its state's capital, by the state in the newest metadata that names one we know.

    Args: stations: newest versions of `inmet_stations`. Returns: station_code, time_zone.
    """
    zone_of_state = literal_map({capital.uf: capital.time_zone for capital in capitals()})
    known = stations.select("station_code", "valid_from_on", zone_of_state[F.col("uf")].alias("time_zone"))
    return (
        known.where(F.col("time_zone").isNotNull())
        .groupBy("station_code")
        .agg(F.max_by("time_zone", "valid_from_on").alias("time_zone"))
    )


def with_civil_day(hours: DataFrame, zones: DataFrame) -> DataFrame:
    """Hours with `date_on`. A capital's station has a zone without metadata; any other waits for its metadata."""
    zone_of_station = literal_map({capital.station_code: capital.time_zone for capital in capitals()})
    zone = F.coalesce(F.col("time_zone"), zone_of_station[F.col("station_code")])
    return (
        hours.join(F.broadcast(zones), "station_code", "left")
        .withColumn("date_on", civil_day(F.col("observed_at"), zone))
        .where(F.col("date_on").isNotNull())
        .drop("time_zone")
    )


def daily(hours: DataFrame) -> DataFrame:
    """One row per station and civil day that has a row of hours, with the columns of `fact_weather_daily`.

    Maximum and minimum are those of the hourly extremes, which describe the hour before the instant. A sum over no
    value is null, never 0. Hours with no value count for nothing, but their day exists.
    """
    temperature = F.count("air_temperature_celsius")
    return hours.groupBy("station_code", "date_on").agg(
        temperature.alias("hours_observed"),
        F.count("rain_mm").alias("rain_hours_observed"),
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
    )


def days_of_groups(silver: Revisions, groups: DataFrame, first_on: date, last_on: date, stations: Column) -> DataFrame:
    """The rows of `fact_weather_daily` in the groups (station_code, date_on).

    Args: first_on, last_on, stations: literal predicates that hold for every group, so that no other hour is read.
    """
    observed_at = F.col("observed_at")
    in_time = from_day(observed_at, first_on) & to_day(observed_at, last_on)
    hours = silver.newest("inmet_hourly", within=in_time & stations)
    zones = station_zones(silver.newest("inmet_stations", within=stations))
    return daily(with_civil_day(hours, zones).join(groups, ["station_code", "date_on"], "left_semi"))


def days_of_stations(silver: Revisions, within: Column) -> DataFrame:
    """(station_code, date_on) of every civil day that hours may belong to, duplicates included.

    New metadata can move a station to another zone, and so its hours to other days: those it leaves are among these.
    """
    hours = silver.newest("inmet_hourly", within=within)
    return hours.select("station_code", F.explode(possible_days(F.col("observed_at"))).alias("date_on"))
