"""Sinks are tested on real Delta tables."""

from tests.spark_fixtures import spark

__all__ = ["spark"]
