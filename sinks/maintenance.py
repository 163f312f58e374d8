"""Maintain one table: read its state, plan, act. Only `compact` must not overlap a batch; see sinks/compaction.py.

expire       files of days that the table does not keep; of the canary's tables alone
compact      small files into large ones, without a change of rows
checkpoint   so that a reader begins near the log's end
log          remove entries that no reader and no checkpoint needs
vacuum       remove data files that left the table, or never were in it
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deltalake import DeltaTable

from foundation.failpoints import failpoint
from sinks import remains
from sinks.compaction import Group, Policy, compact, expire, expired, groups
from sinks.remains import Reader, Removable, remove
from sinks.snapshot import Snapshot

MOST_COMMITS = 20
"""After the newest checkpoint; with more a new one is worth its time."""


@dataclass(frozen=True)
class Plan:
    """A table as it is, and what would be done to it.

    Attributes:
        files, bytes: of the present version.
        log_files, log_bytes: of its log, checkpoints included.
        expired: files of days that the table does not keep.
        groups: of small files, each to become one.
        needs_checkpoint: whether many commits have come since the newest.
        old_files: data files to remove.
        old_log: entries of the log to remove, oldest first.
        old_bytes: of both together.
    """

    table: str
    path: str
    files: int
    bytes: int
    log_files: int
    log_bytes: int
    expired: list[str]
    groups: list[Group]
    needs_checkpoint: bool
    old_files: Removable
    old_log: Removable
    old_bytes: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is worth doing."""
        return not (self.is_untidy or self.old_files.files or self.old_log.files)

    @property
    def is_untidy(self) -> bool:
        """Whether `tidy` would do anything."""
        return bool(self.expired or self.groups or self.needs_checkpoint)

    @property
    def small_files(self) -> int:
        """Files that would be written anew."""
        return sum(len(group.files) for group in self.groups)

    @property
    def held_by(self) -> list[str]:
        """Queries that keep something from being removed, the one that is furthest behind first."""
        return list(dict.fromkeys([*self.old_files.held_by, *self.old_log.held_by]))


def look(table: str, path: str, policy: Policy, readers: Sequence[Reader], *, now: datetime) -> Plan:
    """What there is and what is worth doing; changes nothing.

    Args:
        table: `<layer>.<table>`.
        readers: every stream that reads the table.
        now: UTC; by it days are closed, and log entries old.

    Raises:
        UnsafeState: as `Snapshot.of`.
    """
    snapshot = Snapshot.of(path)
    sizes = snapshot.table.get_add_actions()["size_bytes"].to_pylist()
    log = dict(remains.entries(path))
    old_files = remains.files_to_remove(path, readers)
    old_log = remains.log_to_remove(path, readers, now=now.timestamp())
    return Plan(
        table=table,
        path=path,
        files=len(sizes),
        bytes=sum(sizes),
        log_files=len(log),
        log_bytes=sum(log.values()),
        expired=expired(snapshot, policy, now.date()),
        groups=groups(snapshot, policy, now.date()),
        needs_checkpoint=remains.commits_since_checkpoint(path) > MOST_COMMITS,
        old_files=old_files,
        old_log=old_log,
        old_bytes=_bytes(Path(path), old_files.files) + sum(log.get(name, 0) for name in old_log.files),
    )


def tidy(
    plan: Plan, policy: Policy, *, now: datetime, until: float, is_owner: Callable[[], bool] = lambda: True
) -> list[Group]:
    """Let old days go, compact, and make a checkpoint; returns the groups that became one file each.

    Small files are looked for again, so that nothing is written by an old list. Only who owns the table's writes may
    call this, and while it runs nobody may replace files of the table; rows may be appended. Killed at any point it
    leaves the table as it was, or compacted.

    Args:
        until: by `time.monotonic`, when nothing more is begun.
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
        DeltaTable(plan.path).create_checkpoint()
        failpoint("checkpoint_made")
    return compacted


def clean(plan: Plan, *, until: float) -> tuple[int, int]:
    """Remove what was planned; returns how many entries of the log and how many data files went.

    It needs nobody's turn: what a plan names was needed by nobody, and nobody comes to need it again.
    """
    folder = Path(plan.path)
    log = remove(folder / "_delta_log", plan.old_log.files, until=until)
    return log, remove(folder, plan.old_files.files, until=until)


def budget(seconds: float) -> float:
    """`until` of a run that may begin work for so long."""
    return time.monotonic() + seconds


def _bytes(folder: Path, names: Sequence[str]) -> int:
    total = 0
    for name in names:
        try:
            total += (folder / name).stat().st_size
        except FileNotFoundError:
            continue
    return total
