"""When a driver swaps in a rebuilt table: decided by both checkpoints, the input's log, and the state of its query."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from foundation import failpoints
from foundation.errors import TransientError, UnsafeState
from sinks.compaction import compact
from sinks.planning import Policy, groups
from sinks.snapshot import Snapshot
from stream_jobs.places import Places
from stream_jobs.running import following, handover, shadows, stalls
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.jobs import Driver
from stream_jobs.running.supervised import Supervised
from stream_jobs.running.suspension import Suspension
from tests import rebuilt_lake
from tests.helpers import wait_for
from tests.rebuilt_lake import LIVE, QUERY, SHADOW
from tests.sinks.delta_tables import TODAY, add, made

INPUT = f"bronze.{rebuilt_lake.DATASET}"
ALL_SMALL = Policy(small_bytes=2**20, target_bytes=2**25, at_least=2)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An input of four versions: made, two appends, a compaction."""
    lake = rebuilt_lake.made(tmp_path)
    path = made(lake.table(INPUT))
    add(path, 1)
    add(path, 2)
    snapshot = Snapshot.of(path)
    assert compact(snapshot, groups(snapshot, ALL_SMALL, TODAY), until=1e12)
    state = handover.read(lake, QUERY)
    assert state is not None
    handover.write(lake, replace(state, inputs=(INPUT,)))
    return lake


def job_of(places: Places) -> FollowingJob:
    """The live query's job, of which nothing is started."""
    return FollowingJob(QUERY, (INPUT,), Driver(None, places, None), lambda batch, batch_id: None)


def stand(places: Places, generation: int, version: int, index: int = -1, *, is_first: bool = False) -> None:
    """Let a generation's last batch have ended there."""
    of = places if generation == LIVE else shadows.shadow_of(places, QUERY)
    identity = str(DeltaTable(places.table(INPUT)).metadata().id)
    offset: dict[str, Any] = {"reservoirId": identity, "reservoirVersion": version, "index": index}
    folder = Checkpoint(QUERY, of.checkpoint(QUERY)).path(generation)
    text = f"v1\n{{}}\n{json.dumps(offset | {'isStartingVersion': is_first})}"
    (folder / "offsets" / str(rebuilt_lake.BATCHES - 1)).write_text(text)


def ahead(places: Places) -> bool:
    state = handover.read(places, QUERY)
    assert state is not None
    assert handover.is_wanted(places, QUERY)
    is_ahead = handover.is_ahead(places, state)
    assert handover.is_due(places, QUERY) is not is_ahead
    return is_ahead


@pytest.mark.parametrize(
    ("live", "shadow", "is_ahead"),
    [
        ((3, -1), (3, -1), False),
        ((3, -100), (3, -1), False),
        ((2, -1), (3, -1), True),
        ((3, -1), (2, -1), False),
        ((2, 0), (2, 1), True),
        ((2, 1), (2, 0), False),
        ((3, -1), (4, -1), False),  # the live query is given no batch for a compaction
    ],
)
def test_a_shadow_is_ahead_where_a_version_between_both_brought_rows(places, live, shadow, is_ahead):
    stand(places, LIVE, *live)
    stand(places, SHADOW, *shadow)
    assert ahead(places) is is_ahead
    handover.carry_out(places, QUERY)
    assert rebuilt_lake.torn(places, LIVE if is_ahead else SHADOW) == []


def test_a_query_in_the_midst_of_its_first_read_is_waited_for(places):
    stand(places, SHADOW, 3)
    stand(places, LIVE, 3, 0, is_first=True)
    assert ahead(places)


def test_a_query_that_cannot_go_on_is_not_waited_for(places):
    stand(places, LIVE, 1)
    stand(places, SHADOW, 3)
    assert ahead(places)
    lost = Checkpoint(QUERY, places.checkpoint(QUERY)).path(LIVE) / "metadata"
    lost.unlink()
    assert not ahead(places)


def test_gold_has_no_streams_to_wait_for(places):
    state = handover.read(places, QUERY)
    assert state is not None
    assert not handover.is_ahead(places, replace(state, query="gold.fact_fx_daily"))


def test_a_driver_that_starts_does_what_is_wanted_first_and_goes_on_as_the_shadow_stood(places):
    job = job_of(places)
    assert job.outdated
    assert job.has_unread(), "a run to the end starts it, though bronze has nothing new"
    assert job.open_guard().generation == SHADOW
    assert rebuilt_lake.torn(places, SHADOW) == []
    assert not job.outdated
    assert job.open_guard().generation == SHADOW


def test_a_swap_waits_for_a_batch_or_maintenance_that_is_under_way_and_is_put_off(places, monkeypatch):
    monkeypatch.setattr(following, "LOCK_SECONDS", 0.05)
    job = job_of(places)
    for held in (job.maintenance_lock.batch(), job.maintenance_lock.maintenance(1.0)):
        with held, pytest.raises(TransientError, match="waits for its tables"):
            job.open_guard()
    assert rebuilt_lake.torn(places, LIVE) == []
    assert job.open_guard().generation == SHADOW


def test_control_a_driver_that_starts_without_a_look_at_the_rebuild_goes_on_with_half_a_swap(
    places, monkeypatch, control
):
    """Its commits are interrupted after the first table."""

    def next_owner() -> list[str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(failpoints.VARIABLE, "mid_swap:raise")
            with pytest.raises(RuntimeError, match="mid_swap"):
                handover.carry_out(places, QUERY)
        generation = job_of(places).open_guard().generation
        return [each for each in rebuilt_lake.torn(places, generation) if "does not hold" in each]

    control.holds(next_owner)
    state = handover.read(places, QUERY)
    assert state is not None
    handover.write(places, replace(state, phase="return_wanted"))
    monkeypatch.setattr(FollowingJob, "outdated", False)
    control.objects(next_owner, damage="_revisions does not hold the rows of the guard's generation 1")


@pytest.mark.parametrize("is_suspended", [False, True])
def test_a_driver_restarts_a_query_between_two_batches_and_a_suspended_one_at_once(places, monkeypatch, is_suspended):
    monkeypatch.setattr(stalls, "_jobs", lambda query: 0)
    job = job_of(places)
    started: list[int] = []

    class Query:
        isActive, status = True, {"isTriggerActive": False}  # noqa: N815

        def __init__(self) -> None:
            self._jsq = self

        def lastProgress(self) -> None:  # noqa: N802
            return None

        def stop(self) -> None:
            self.isActive = False

    job.start = lambda trigger: started.append(job.open_guard().generation) or Query()
    job.prepare = lambda: None
    stand(places, LIVE, 1)
    stand(places, SHADOW, 3)  # it is not the live query's turn yet
    suspension = Suspension(lambda: "same")
    live = Supervised(job, {}, suspension=suspension)
    live.begin(lambda: not is_suspended)
    live.watch()
    assert started == ([] if is_suspended else [LIVE])
    stand(places, LIVE, 3)
    wait_for(lambda: live.watch() or SHADOW in started, "it is started again")
    assert rebuilt_lake.torn(places, SHADOW) == []


def test_a_damaged_state_keeps_its_query_from_starting_and_ends_nothing_else(places):
    (places.checkpoints / "rebuild" / QUERY / "state.json").write_text("{")
    job = job_of(places)
    assert job.outdated
    with pytest.raises(UnsafeState, match="is damaged") as refused:
        job.open_guard()
    assert refused.value.hint is not None
    assert "remove the file" in refused.value.hint
    assert rebuilt_lake.torn(places, LIVE) == []
