"""`migrate run|verify|rollback` with lake and archive in an object store."""

import pytest

from storage import files
from tests.migration.test_migrate import (
    TOPICS,
    climate,
    problems,
    require_it_comes_again,
    require_taken_back,
    said,
    values_of,
)
from tests.stores import in_store, lake, store

__all__ = ["climate", "in_store", "lake", "store"]

pytestmark = pytest.mark.slow

DATASET = "legacy_clima_salvador"
ROWS = 60


@pytest.fixture
def migrated(settings, lake, climate):
    """(file, mapping). The tests' own oracles look for its contract beside the lake, and it is at home."""
    for contract in settings.contracts.iterdir():
        files.write(lake.parent / "contracts" / contract.name, contract.read_bytes())
    return climate


def test_a_file_comes_to_a_store_digit_by_digit_is_taken_back_and_comes_again(settings, pipeline, migrated):
    file, mapping = migrated
    assert problems(settings, mapping, file) == []
    assert f"{ROWS} rows and 0 rejects in 1 chunks" in said(settings, "verify", DATASET)
    assert pipeline.contradictions(*TOPICS, DATASET) == {}
    assert "published already" in said(settings, "run", mapping, file)
    first = values_of(pipeline, mapping)
    assert len(first) == ROWS

    assert f"{ROWS} rows withdrawn" in said(settings, "rollback", DATASET, "--yes")
    require_taken_back(pipeline, settings, DATASET, ROWS)
    require_it_comes_again(pipeline, settings, DATASET, mapping, file, first)
