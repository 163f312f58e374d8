"""`migrate run|verify|rollback` with lake and archive in an object store."""

import pytest

from tests.migration.test_migrate import TOPICS, climate, problems, said, stream, values_of
from tests.pipeline import OWN_ORACLES
from tests.stores import in_store, lake, store

__all__ = ["climate", "in_store", "lake", "store"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DATASET = "legacy_clima_salvador"
ROWS = 60


def contradictions(pipeline) -> dict[str, list[str]]:
    """What verify finds; the tests' own oracles look for a migrated contract beside the lake, and it is at home."""
    return pipeline.contradictions(*TOPICS, DATASET, without=(OWN_ORACLES,))


def test_a_file_comes_to_a_store_digit_by_digit_is_taken_back_and_comes_again(settings, pipeline, climate):
    file, mapping = climate
    assert problems(settings, mapping, file) == []
    assert f"{ROWS} rows and 0 rejects in 1 chunks" in said(settings, "verify", DATASET)
    assert contradictions(pipeline) == {}
    assert "published already" in said(settings, "run", mapping, file)
    first = values_of(pipeline, mapping)
    assert len(first) == ROWS

    assert f"{ROWS} rows withdrawn" in said(settings, "rollback", DATASET, "--yes")
    stream(pipeline, DATASET)
    assert pipeline.rows(f"silver.{DATASET}") == []
    assert len(pipeline.rows(f"bronze.{DATASET}")) == ROWS, "bronze keeps what was taken back"
    assert contradictions(pipeline) == {}
    assert "is visible" in said(settings, "verify", DATASET, code=2)

    said(settings, "run", mapping, file)
    stream(pipeline, DATASET)
    assert values_of(pipeline, mapping) == first
    said(settings, "verify", DATASET)
    assert contradictions(pipeline) == {}
