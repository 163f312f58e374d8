"""Brazil's municipalities, from the reference list."""

from dataclasses import astuple

from pyspark.sql import DataFrame, SparkSession

from schemas.classes import PUBLIC
from sinks.arrow_frames import frame_of_tuples
from stream_jobs.gold.model import Column, StaticTable, schema_of
from stream_jobs.gold.reference import municipalities

COLUMNS = (
    Column("municipality_code", "STRING NOT NULL", "IBGE code, 7 digits"),
    Column("name", "STRING NOT NULL", "name"),
    Column("uf", "STRING NOT NULL", "state, two letters"),
    Column("region", "STRING NOT NULL", "region of Brazil"),
    Column("latitude_degrees", "DOUBLE NOT NULL", "latitude of the seat", "degrees north"),
    Column("longitude_degrees", "DOUBLE NOT NULL", "longitude of the seat", "degrees east"),
    Column("is_capital", "BOOLEAN NOT NULL", "whether it is a state's capital, or Brasília"),
    Column("area_code", "STRING NOT NULL", "telephone area (DDD), 2 digits"),
    Column("time_zone", "STRING NOT NULL", "name in the tz database; the municipality's own if its state has several"),
)


def build(spark: SparkSession) -> DataFrame:
    """One row per municipality."""
    return frame_of_tuples(spark, map(astuple, municipalities()), schema_of(COLUMNS))


TABLE = StaticTable(
    name="dim_municipality",
    keys=("municipality_code",),
    about="One municipality of the reference list. Its inhabitants through time: `dim_municipality_population`.",
    columns=COLUMNS,
    build=build,
    classes={
        PUBLIC: (
            "municipality_code",
            "name",
            "uf",
            "region",
            "latitude_degrees",
            "longitude_degrees",
            "is_capital",
            "area_code",
            "time_zone",
        )
    },
)
