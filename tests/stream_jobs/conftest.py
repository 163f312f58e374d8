"""Stream jobs run in the tests' own JVM, on the shared broker and registry."""

from tests.pipeline import pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]
