"""Tests of the systems beside the product, in their environment: `make test-company`."""

from tests.spark_fixtures import spark

__all__ = ["spark"]
