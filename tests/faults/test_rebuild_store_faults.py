"""F27 and O8 in an object store: a swap that is killed is ended by the next owner, and no reader sees a mix."""

from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from foundation.errors import UnsafeState
from storage import lease
from storage.lease import Leases
from storage.location import Remote
from stream_jobs.places import Places
from stream_jobs.rebuild import run
from tests.faults import test_rebuild_faults as on_a_disk
from tests.faults.test_rebuild_faults import (
    RETURN,
    SWAP,
    by_delta_rs,
    by_duckdb,
    contents,
    in_two_commits,
    mixed,
    test_a_rollback_whose_files_are_gone_is_refused_and_changes_nothing,
    test_a_version_from_before_the_swap_still_reads,
    watched,
)
from tests.rebuilt_lake import made
from tests.stores import lake, store

__all__ = [
    "lake",
    "store",
    "test_a_rollback_whose_files_are_gone_is_refused_and_changes_nothing",
    "test_a_version_from_before_the_swap_still_reads",
]

IN_SHORT = {"mid_swap@2", "swap_committed"}
"""Those of `make test`: one table is swapped and the next one is not; all are, and nobody has noted it yet."""

pytestmark = [pytest.mark.integration, pytest.mark.fault]


@pytest.fixture
def places(tmp_path: Path, lake: Remote) -> Places:
    """A lake in the store with a rebuild that is asked for."""
    return made(tmp_path, lake=str(lake))


def points(names: list[str]) -> list[ParameterSet]:
    """Points at which the owner is killed, those beyond the short ones for `make test-faults`."""
    return [pytest.param(name, marks=[] if name in IN_SHORT else [pytest.mark.slow]) for name in names]


@pytest.mark.parametrize("point", points(SWAP))
def test_f27_a_swap_in_a_store_that_is_killed_at_any_point_is_ended_and_can_be_rolled_back(places, point):
    on_a_disk.test_f27_a_swap_that_is_killed_at_any_point_is_ended_by_the_next_owner_and_can_be_rolled_back(
        places, point
    )


@pytest.mark.parametrize("point", points(RETURN))
def test_f27_a_rollback_in_a_store_that_is_killed_at_any_point_is_ended(places, point):
    on_a_disk.test_f27_a_rollback_that_is_killed_at_any_point_is_ended_by_the_next_owner(places, point)


def test_while_one_machine_rebuilds_another_one_is_refused(places, lake, monkeypatch):
    """Both would fill the same tables below `<lake>/rebuild`."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.2)
    other = Leases(lake)
    other.acquire("rebuild")
    with pytest.raises(UnsafeState, match="another rebuild is under way"), run.exclusive_lock(places):
        pass
    other.release()
    with run.exclusive_lock(places):
        pass


@pytest.mark.slow
def test_o8_control_a_swap_in_two_commits_shows_a_mix_or_nothing_in_a_store_too(tmp_path, lake, monkeypatch, control):
    rows = 3000

    def seen_in(name: str) -> list[str]:
        found = watched(made(tmp_path / name, rows, str(lake / name)), [by_delta_rs, by_duckdb], rounds=1)
        return mixed(found, contents(rows))

    control.holds(seen_in, "one")
    in_two_commits(monkeypatch)
    control.objects(seen_in, "two", damage="a reader saw 0 rows")
