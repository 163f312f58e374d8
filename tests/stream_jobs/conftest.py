"""Stream jobs run in the tests' own JVM, on the shared broker and registry."""

from tests.pipeline import pipeline
from tests.spark_fixtures import pytest_collection_modifyitems, spark

__all__ = ["pipeline", "pytest_collection_modifyitems", "spark"]
