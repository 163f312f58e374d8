"""Maintain one table as sinks/planning.py plans it. Only `compact` must not overlap a batch; see sinks/compaction.py.

expire       remove files of days that the table does not keep; only in the canary's tables
compact      merge small files into large ones, without a change of rows
checkpoint   write one, so that readers begin near the log's end
log          remove entries that no reader and no checkpoint needs
vacuum       remove data files that are no longer in the table, or never were
"""

import time
from collections.abc import Callable
from datetime import datetime

from foundation.failpoints import failpoint
from sinks.compaction import compact, expire
from sinks.planning import Group, Plan, Policy, expired, groups
from sinks.removable import remove
from sinks.snapshot import Snapshot
from storage import delta
from storage.health import asked_on_failure
from storage.location import location


def tidy(
    plan: Plan, policy: Policy, *, now: datetime, until: float, is_owner: Callable[[], bool] = lambda: True
) -> list[Group]:
    """Remove old days, compact, and make a checkpoint; returns the groups that became one file each.

    Small files are searched again, because the plan may be old. Only the owner of the table's writes may call this, and
    while it runs no other process may replace files of the table; rows may be appended. If it is killed at any point,
    the table is as it was, or compacted.

    Args:
        until: by `time.monotonic`; nothing more is begun after it.
        is_owner: as of `compact`.
    """
    failpoint("maintenance_begins")
    compacted: list[Group] = []
    if plan.expired and is_owner():
        snapshot = Snapshot.of(plan.path)
        if files := expired(snapshot, policy, now.date()):
            expire(snapshot, files)
    if plan.groups:
        snapshot = Snapshot.of(plan.path)
        compacted = compact(snapshot, groups(snapshot, policy, now.date()), until=until, is_owner=is_owner)
    if compacted or plan.needs_checkpoint:
        with asked_on_failure(plan.path):
            delta.table(plan.path).create_checkpoint()
        failpoint("checkpoint_made")
    return compacted


def clean(plan: Plan, *, until: float) -> tuple[int, int]:
    """Remove the planned files; returns how many log entries and how many data files were removed.

    It needs no lock: no reader needed the planned files, and none can need them later.
    """
    folder = location(plan.path)
    log = remove(folder / "_delta_log", plan.old_log.files, until=until)
    return log, remove(folder, plan.old_files.files, until=until)


def budget(seconds: float) -> float:
    """`until` for work that may take so many seconds."""
    return time.monotonic() + seconds
