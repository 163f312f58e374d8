"""S29 in an object store: no object and no file of the home holds a planted key afterwards."""

import pytest

from tests.erased_lake import planted, served
from tests.faults.test_erasure import (
    again,
    test_s29_a_planted_key_is_erased_from_every_layer_and_its_control,
)
from tests.pipeline import pipeline
from tests.spark_fixtures import spark
from tests.stores import in_store, lake, store

__all__ = [
    "again",
    "in_store",
    "lake",
    "pipeline",
    "planted",
    "served",
    "spark",
    "store",
    "test_s29_a_planted_key_is_erased_from_every_layer_and_its_control",
]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(3600)]
