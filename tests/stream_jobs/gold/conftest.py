"""Fixtures of the gold tests: one Spark session of the test run, and silver in memory."""

from tests.spark_fixtures import spark
from tests.stream_jobs.gold.memory_silver import frame, silver

__all__ = ["frame", "silver", "spark"]
