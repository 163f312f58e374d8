"""Weather per station and civil day.

Widening: a changed hour touches the one or two civil days it can belong to. A changed row of station metadata can move
the station to another time zone, or give it its first one, so it touches every day of that station.
"""

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions
from stream_jobs.gold.weather import DAY_COLUMNS, DAY_PUBLIC, days_of_groups, days_of_stations, possible_days

GROUP = ("station_code", "date_on")


def touched_by_hours(hours: DataFrame) -> DataFrame:
    """Station and possible civil days."""
    return hours.select("station_code", F.explode(possible_days(F.col("observed_at"))).alias("date_on"))


def touched_by_stations(stations: DataFrame) -> DataFrame:
    """Station and a null day: all its days."""
    return stations.select("station_code", F.lit(None).cast("date").alias("date_on"))


def widen(silver: Revisions, touched: pa.Table) -> pa.Table:
    """Null days replaced by the days there are."""
    days = touched.filter(pc.is_valid(touched["date_on"]))
    whole = touched.filter(pc.is_null(touched["date_on"]))["station_code"].to_pylist()
    if not whole:
        return days
    return pa.concat_tables(
        [days, days_of_stations(silver, [("station_code", "in", whole)]).toArrow()], promote_options="default"
    )


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """The station-days of the groups."""
    (first_on, last_on), (first_station, last_station) = groups.bounds("date_on", "station_code")
    stations = between("station_code", first_station, last_station)
    days = days_of_groups(silver, groups.frame, first_on, last_on, stations)
    return days.select(*(column.name for column in TABLE.columns))


TABLE = GoldTable(
    name="fact_weather_daily",
    keys=GROUP,
    group=GROUP,
    inputs=(Input("inmet_hourly", touched_by_hours), Input("inmet_stations", touched_by_stations)),
    about="One station and civil day; a day whose hours hold no value is a row with hours_observed 0.",
    columns=(
        Column("station_code", "STRING NOT NULL", "code of the weather station"),
        Column(
            "date_on",
            "DATE NOT NULL",
            "civil day on the station's wall clock: that of its municipality if known, else that of its state",
        ),
        *DAY_COLUMNS,
        KNOWN_FROM,
    ),
    expectations=(
        # Summer time made days of 23 and of 25 hours.
        Expectation("at_most_25_hours", "hours_observed <= 25 AND rain_hours_observed <= 25", "fail"),
        Expectation("minimum_at_most_maximum", "temperature_min_celsius <= temperature_max_celsius", "warn"),
        Expectation("rain_not_negative", "rain_mm >= 0", "warn"),
    ),
    recompute=recompute,
    widen=widen,
    classes={
        PUBLIC: (
            "station_code",
            "date_on",
            *DAY_PUBLIC,
        ),
        TECHNICAL: ("known_from",),
    },
)
