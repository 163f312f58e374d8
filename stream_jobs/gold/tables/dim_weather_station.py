"""Weather stations through time: a row holds from its first day to the day before the next row's."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from schemas.classes import PUBLIC, TECHNICAL
from sinks.expectations import Expectation
from sinks.snapshot import between
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import KNOWN_FROM, Column, GoldTable, Input, Revisions


def touched(stations: DataFrame) -> DataFrame:
    """A new row ends the one before it, so all rows of the station are one group."""
    return stations.select("station_code")


def recompute(silver: Revisions, groups: Groups) -> DataFrame:
    """All rows of the stations."""
    ((first, last),) = groups.bounds("station_code")
    stations = silver.newest("inmet_stations", within=between("station_code", first, last))
    by_start = Window.partitionBy("station_code").orderBy("valid_from_on")
    return stations.join(groups.frame, "station_code", "left_semi").select(
        "station_code",
        "valid_from_on",
        F.date_sub(F.lead("valid_from_on").over(by_start), 1).alias("valid_to_on"),
        "region",
        "uf",
        "name",
        "latitude_degrees",
        "longitude_degrees",
        "altitude_m",
        "founded_on",
        F.greatest("known_from", F.lead("known_from").over(by_start)).alias("known_from"),
    )


TABLE = GoldTable(
    name="dim_weather_station",
    keys=("station_code", "valid_from_on"),
    group=("station_code",),
    inputs=(Input("inmet_stations", touched),),
    about="One station as described in its yearly file, while the description is the same.",
    columns=(
        Column("station_code", "STRING NOT NULL", "code of the weather station", source="inmet_stations"),
        Column("valid_from_on", "DATE NOT NULL", "first day for which the row is valid", source="inmet_stations"),
        Column("valid_to_on", "DATE", "last day; null = still holds", formula="day before the next row's first day"),
        Column("region", "STRING", "region of Brazil, two letters at most", source="inmet_stations"),
        Column("uf", "STRING", "state, two letters", source="inmet_stations"),
        Column("name", "STRING", "name of the station", source="inmet_stations"),
        Column("latitude_degrees", "DOUBLE", "latitude", "degrees north", "inmet_stations"),
        Column("longitude_degrees", "DOUBLE", "longitude", "degrees east", "inmet_stations"),
        Column("altitude_m", "DOUBLE", "altitude", "m", "inmet_stations"),
        Column("founded_on", "DATE", "first day of the station", source="inmet_stations"),
        KNOWN_FROM,
    ),
    expectations=(
        Expectation("valid_for_a_day_at_least", "valid_to_on >= valid_from_on", "fail"),
        Expectation("state_is_named", "uf IS NOT NULL", "warn"),
    ),
    recompute=recompute,
    classes={
        PUBLIC: (
            "station_code",
            "valid_from_on",
            "valid_to_on",
            "region",
            "uf",
            "name",
            "latitude_degrees",
            "longitude_degrees",
            "altitude_m",
            "founded_on",
        ),
        TECHNICAL: ("known_from",),
    },
)
