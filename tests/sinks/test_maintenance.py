"""Maintenance of one table; killed anywhere, the table is as it was or compacted, and the next run finishes."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from foundation import failpoints
from sinks import compaction
from sinks.listing import Listing
from sinks.maintenance import budget, clean, tidy
from sinks.planning import Plan, Policy, look
from sinks.removable import Reader
from tests.controls import counted
from tests.sinks import delta_tables
from tests.sinks.delta_tables import add, age, numbers

POLICY = Policy(small_bytes=1 << 20, target_bytes=4 << 20, at_least=4)

POINTS = ("maintenance_begins", "compaction_written", "compaction_committed", "checkpoint_made", "removed")

PROGRAM = """
import sys
from datetime import UTC, datetime
from sinks.listing import Listing
from sinks.maintenance import budget, clean, tidy
from sinks.planning import Policy, look
policy = Policy(1 << 20, 4 << 20, 4)
plan = look("silver.numbers", Listing.of(sys.argv[1]), policy, [], now=datetime.now(UTC))
tidy(plan, policy, now=datetime.now(UTC), until=budget(60))
clean(plan, until=budget(60))
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Thirty rows, a file each; what an attempt left a month ago; a log that is as old."""
    made = delta_tables.made(str(tmp_path / "numbers"))
    for number in range(30):
        add(made, number)
    DeltaTable(made).create_checkpoint()
    left = Path(made) / "year=2025" / "part-left.parquet"
    left.write_bytes(b"rows")
    age(made, 31)
    return made


def looked(path: str, *readers: Reader, now: datetime | None = None) -> Plan:
    return look("silver.numbers", Listing.of(path), POLICY, readers, now=now or datetime.now(UTC))


def test_a_plan_says_what_there_is_and_what_would_be_saved(path):
    plan = looked(path, Reader("gold.slow", 3))
    assert (plan.files, plan.small_files, len(plan.groups)) == (30, 30, 1)
    assert plan.log_files == 31 + 2  # commits, a checkpoint, the pointer to it
    assert plan.old_files.files == ["year=2025/part-left.parquet"]
    assert (plan.old_log.files, len(plan.old_log.held), plan.held_by) == ([], 30, ["gold.slow"])
    assert plan.old_bytes == len(b"rows")
    assert not plan.is_empty


KEEPING = Policy(small_bytes=1 << 20, target_bytes=4 << 20, at_least=4, closed_days=True, kept_days=30)


def older(path: str) -> list[str]:
    """Rows of days that a table of thirty days does not keep on the first of February."""
    return [f"{number} of 1 January is there" for number in numbers(path) if number < 100]


@pytest.mark.parametrize("policy", [KEEPING, POLICY], ids=["kept for thirty days", "kept for ever"])
def test_days_leave_a_table_only_where_its_policy_says_so(path, policy):
    for day in (2, 3):
        add(path, 100 + day, day=day)
    now = datetime(2025, 2, 1, 23, tzinfo=UTC)  # the second is thirty days ago
    plan = look("silver.numbers", Listing.of(path), policy, [], now=now)
    assert len(plan.expired) == (30 if policy is KEEPING else 0)
    assert tidy(plan, policy, now=now, until=budget(60), is_owner=lambda: False) == []
    assert len(numbers(path)) == 32, "who has lost the table takes nothing away"
    tidy(plan, policy, now=now, until=budget(60))
    assert [number for number in numbers(path) if number >= 100] == [102, 103]
    assert bool(older(path)) is (policy is POLICY)
    assert not look("silver.numbers", Listing.of(path), policy, [], now=now).expired


def done(path: str) -> tuple[int, int]:
    """A whole run; how many entries of the log and data files went."""
    plan = looked(path)
    tidy(plan, POLICY, now=datetime.now(UTC), until=budget(60))
    return clean(plan, until=budget(60))


def test_what_is_done_leaves_nothing_to_do(path):
    assert done(path) == (30, 1)
    assert numbers(path) == list(range(30))
    assert len(DeltaTable(path).file_uris()) == 1
    assert done(path) == (2, 0)  # what the checkpoint of the first run made superfluous
    assert looked(path).is_empty
    # A week later the thirty files have left the table long enough, and its log is old again.
    age(path, 8)
    later = looked(path, now=datetime.now(UTC) + timedelta(days=8))
    assert later.old_files.files == []  # by the log they left it today, whatever their own age


def test_many_commits_without_a_checkpoint_get_one(tmp_path):
    path = delta_tables.made(str(tmp_path / "numbers"))
    for number in range(3):
        add(path, number)
    assert not looked(path).needs_checkpoint
    for number in range(3, 22):
        add(path, number)
        DeltaTable(path).delete(f"number = {number}")
    assert looked(path).needs_checkpoint
    tidy(looked(path), POLICY, now=datetime.now(UTC), until=budget(60))
    assert not looked(path).needs_checkpoint
    assert numbers(path) == [0, 1, 2]


def killed(path: str, point: str) -> None:
    """Maintenance in a process that is killed at a failure point."""
    environment = {**os.environ, failpoints.VARIABLE: f"{point}:kill"}
    ended = subprocess.run([sys.executable, "-c", PROGRAM, path], env=environment, check=False)
    assert ended.returncode == -9


def rows_stand_once(path: str) -> list[str]:
    return counted(numbers(path), range(30), "number")


@pytest.mark.parametrize("point", [*POINTS, "removed@20"])
def test_maintenance_that_is_killed_loses_nothing_and_the_next_run_ends_it(path, point):
    killed(path, point)
    assert rows_stand_once(path) == []
    add(path, 30)

    done(path), done(path)

    assert numbers(path) == list(range(31))
    assert len(DeltaTable(path).file_uris()) in (1, 2)
    assert looked(path).is_empty


class InTwoCommits(DeltaTable):
    """Removes files in one commit and fails before the one that would add their rows again."""

    def create_write_transaction(self, actions: Any, *arguments: Any, **named: Any) -> None:
        gone = [action for action in actions if isinstance(action, RemoveAction)]
        super().create_write_transaction(gone, *arguments, **named)
        raise RuntimeError("killed between the two")


def test_control_in_two_commits_a_kill_between_them_loses_rows(path, tmp_path, monkeypatch, control):
    other = str(tmp_path / "other")
    shutil.copytree(path, other)
    killed(path, "compaction_written")
    control.holds(rows_stand_once, path)

    monkeypatch.setattr(compaction.delta, "table", InTwoCommits)
    with pytest.raises(RuntimeError, match="between the two"):
        tidy(looked(other), POLICY, now=datetime.now(UTC), until=budget(60))
    control.objects(rows_stand_once, other, damage="number 7 stands 0 times")
