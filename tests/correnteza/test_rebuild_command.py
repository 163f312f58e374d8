"""`correnteza rebuild` after the shadow is built: no JVM is needed for swap, status and rollback."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from correnteza.places import places as places_of
from correnteza.settings import Settings
from stream_jobs.places import Places
from stream_jobs.rebuild import run
from stream_jobs.running import handover
from tests import rebuilt_lake
from tests.helpers import UNMODIFIED, run_here, run_to_its_end
from tests.rebuilt_lake import LIVE, QUERY, SHADOW, torn

Rebuild = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def places(home: Path) -> Places:
    """The shadow of one dataset stands; a second one is to be rebuilt after it."""
    made = rebuilt_lake.made(home)
    run = {"run": "some-run", "queries": [QUERY]}
    (made.checkpoints / "rebuild" / "run.json").write_text(json.dumps(run))
    return made


@pytest.fixture
def rebuild(home: Path) -> Rebuild:
    return lambda *arguments: run_here(Settings(home=home), ("rebuild", *arguments))


def test_a_rebuild_is_shown_resumed_and_rolled_back(places, rebuild):
    told = rebuild("--status")
    assert "swap_wanted" in told.stdout
    assert "a running driver carries it out; else correnteza rebuild --resume" in told.stdout
    again = rebuild("silver.bcb_ptax", "--yes")
    assert (again.returncode, "is unfinished" in again.stderr) == (3, True)

    resumed = rebuild("--resume")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert f"{QUERY}: swapped in as generation 1" in resumed.stdout
    assert torn(places, SHADOW) == []
    assert not Path(places.lake, "rebuild").exists()
    [row] = json.loads(rebuild("--status", "--json").stdout)["queries"]
    assert (row["phase"], row["generation"], row["former_generation"]) == ("swapped", 1, 0)

    asks = rebuild("--rollback")
    assert (asks.returncode, "add --yes" in asks.stderr) == (2, True)
    back = rebuild("--rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert f"{QUERY}: its former content is back" in back.stdout
    assert torn(places, LIVE) == []
    assert rebuild("--rollback", "--yes").returncode == 2, "there is nothing more to restore"


def test_a_rollback_before_the_swap_removes_the_shadow_and_changes_no_table(places, rebuild):
    versions = {table: rebuilt_lake.held(places.table(table)) for table in rebuilt_lake.TABLES}
    back = rebuild("--rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert {table: rebuilt_lake.held(places.table(table)) for table in versions} == versions
    assert torn(places, LIVE) == []
    assert not handover.is_wanted(places, QUERY)
    assert not Path(places.lake, "rebuild").exists()


def test_a_shadow_is_abandoned_and_a_plan_needs_a_table(places, rebuild):
    assert rebuild("--dry-run").returncode == rebuild("--dry-run", "--resume").returncode == 2
    done = rebuild("--abandon", "--yes")
    assert done.returncode == 0, done.stderr
    assert torn(places, LIVE) == []
    assert rebuild("--status").returncode == 2
    assert "time not measured yet" in rebuild(QUERY, "--dry-run").stdout


def test_dead_letters_are_closed_before_a_rebuild_or_after_it(places, rebuild, home):
    """A shadow that has read the original before its dead letter is closed would keep it instead of the copy."""

    def redrive(*more: str) -> "CompletedProcess[str]":
        return run_here(Settings(home=home), ("dead-letters", "redrive", "--all", *more))

    beside = redrive()
    assert (beside.returncode, "close dead letters before it or after it" in beside.stderr) == (3, True), beside.stderr
    assert redrive("--dry-run").returncode == 0
    assert rebuild("--resume").returncode == 0
    after = redrive()
    assert (after.returncode, "0 can be redriven" in after.stdout) == (0, True), after.stderr


def test_no_rebuild_begins_while_dead_letters_are_closed(home, places, rebuild, tmp_path):
    assert rebuild("--abandon", "--yes").returncode == 0
    with run.no_silver_rebuild(places_of(Settings(home=home))):
        # A process of its own: the lock is one of processes.
        arguments = ("rebuild", "silver.bcb_ptax", "--yes")
        refused = run_to_its_end(Settings(home=home), tmp_path, UNMODIFIED, arguments, {})
    assert (refused.returncode, "dead letters are being closed" in refused.stderr) == (3, True), refused.stderr
