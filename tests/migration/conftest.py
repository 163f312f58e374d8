"""What is migrated goes through bronze and silver in the tests' own JVM."""

from tests.pipeline import pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]
