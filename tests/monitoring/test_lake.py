"""The lake's tables in DuckDB: small ones may be held, which changes no answer and hides no file that is broken."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from foundation.errors import UsageError
from monitoring.lake import Lake

REVISIONS = "SELECT count(*), sum(hash(r)::HUGEINT) FROM silver.bcb_sgs_revisions r"


def broken(kit):
    """Write zeros over the files of one table."""
    for file in map(Path, DeltaTable(str(kit.lake / "silver/bcb_sgs_revisions")).file_uris()):
        file.write_bytes(bytes(file.stat().st_size))


def test_a_small_table_that_is_held_gives_the_rows_of_its_files(kit):
    held = Lake(kit.lake, holds_small_tables=True)
    before = held.rows(REVISIONS)
    assert before == Lake(kit.lake).rows(REVISIONS)
    broken(kit)
    assert held.rows(REVISIONS) == before, "it was read once"


@pytest.mark.parametrize("holds", [False, True])
def test_a_file_that_cannot_be_read_is_an_error_of_the_query_that_asks_for_it_alone(kit, holds):
    broken(kit)
    lake = Lake(kit.lake, holds_small_tables=holds)
    assert lake.value("SELECT count(*) FROM silver.bcb_sgs") > 0
    with pytest.raises(UsageError, match="the query fails"):
        lake.rows(REVISIONS)
