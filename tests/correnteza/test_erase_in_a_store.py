"""`erase` refuses a bucket in which what it deletes would stay."""

import pytest

from tests.helpers import run_here
from tests.stores import in_store, lake, store, versioned

__all__ = ["in_store", "lake", "store", "versioned"]


@pytest.mark.parametrize("name", ["lake", "archive"])
def test_in_a_bucket_that_keeps_former_versions_it_is_refused_before_anything_is_looked_at(settings, versioned, name):
    home = settings.model_copy(update={name: str(versioned), "kafka_bootstrap": None})
    refused = run_here(home, ["erase", "anatel_base_stations", "license_row_id=529982247", "--dry-run"])
    assert (refused.returncode, "keeps former versions" in refused.stderr) == (3, True), refused.stderr
