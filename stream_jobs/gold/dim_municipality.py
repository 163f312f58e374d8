"""Brazil's municipalities, from the reference list."""

from dataclasses import astuple

from pyspark.sql import DataFrame, SparkSession

from stream_jobs.gold.model import StaticTable
from stream_jobs.gold.reference import municipalities

SCHEMA = """
    municipality_code STRING NOT NULL, name STRING NOT NULL, uf STRING NOT NULL, region STRING NOT NULL,
    latitude_degrees DOUBLE NOT NULL, longitude_degrees DOUBLE NOT NULL, is_capital BOOLEAN NOT NULL,
    area_code STRING NOT NULL, time_zone STRING NOT NULL
"""


def build(spark: SparkSession) -> DataFrame:
    """One row per municipality."""
    return spark.createDataFrame([astuple(place) for place in municipalities()], SCHEMA)


TABLE = StaticTable(name="dim_municipality", keys=("municipality_code",), build=build)
