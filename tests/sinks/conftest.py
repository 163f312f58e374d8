"""Sinks are tested on real Delta tables."""

from tests.spark_fixtures import pytest_collection_modifyitems, spark

__all__ = ["pytest_collection_modifyitems", "spark"]
