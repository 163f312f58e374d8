"""Compact small files of a table into large ones, in a commit that states that no row changed (`dataChange=false`).

Rows are copied unchanged, batch by batch, so memory does not grow with the table. A stream skips such a commit, since
it neither adds nor removes a row.

delta-rs can compact too, but it rounds instants in the log to milliseconds, so its bounds may exclude values of the
file. The statistics here are those of every other commit (sinks/commit.py).

delta-rs finds no conflict between two commits that remove the same file: both succeed, and its rows are then in the
table twice. So while a table is compacted, nobody else may replace its files.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from deltalake.transaction import AddAction, RemoveAction

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks.commit import in_place, removed, transact
from sinks.copies import copied
from sinks.planning import Group
from sinks.snapshot import Snapshot
from sinks.statistics import statistics_of
from storage import delta, parquet
from storage.location import location


def expire(snapshot: Snapshot, files: Sequence[str]) -> None:
    """Remove whole files from a table, in one commit; streams that read it must skip commits that do so."""
    transact(snapshot.table, [removed(name, data_change=True) for name in files])


def compact(
    snapshot: Snapshot,
    wanted: Sequence[Group],
    *,
    until: float,
    is_owner: Callable[[], bool] = lambda: True,
) -> list[Group]:
    """Write groups one after the other, and commit once; returns the groups that were written.

    Args:
        snapshot: the version that the groups are of; nobody else may replace the table's files meanwhile.
        until: by `time.monotonic`; no further group is begun after it. At least one group is written.
        is_owner: called before the commit; if it returns False, the table has another owner and nothing is committed.

    Raises:
        UnsafeState: a file does not hold the rows that the log states, or was replaced by somebody else; nothing is
            committed.
    """
    actions: list[AddAction | RemoveAction] = []
    done: list[Group] = []
    for group in wanted:
        if done and time.monotonic() > until:
            break
        actions += _rewritten(snapshot, group)
        done.append(group)
    if not done:
        return []
    failpoint("compaction_written")
    if not is_owner():
        return []
    newest = delta.table(snapshot.path)
    root = newest.table_uri.removeprefix("file://")
    there = {uri.removeprefix(root) for uri in newest.file_uris()}
    if gone := [file.name for group in done for file in group.files if file.name not in there]:
        raise UnsafeState(f"{gone[0]} of the table at {snapshot.path} was replaced while it was compacted")
    transact(newest, actions)
    failpoint("compaction_committed")
    return done


def _rewritten(snapshot: Snapshot, group: Group) -> Iterator[AddAction | RemoveAction]:
    """Write one group's rows; returns the log entries of the new files and of the removed ones."""
    root = location(snapshot.path)
    inside = "".join(f"{folder}/" for folder in group.files[0].name.split("/")[:-1])
    rows = 0
    for name, size in copied([root / file.name for file in group.files], root / inside if inside else root):
        footer = parquet.footer(root / f"{inside}{name}")
        rows += footer.num_rows
        statistics = statistics_of(footer, snapshot)
        yield in_place(f"{inside}{name}", size, group.partition, statistics, data_change=False)
    told = [file.rows for file in group.files]
    if None not in told and sum(filter(None, told)) != rows:
        raise UnsafeState(
            f"{group.files[0].name} and {len(told) - 1} more files of the table at {snapshot.path} hold {rows} rows,"
            f" and the log says {sum(filter(None, told))}",
            hint="correnteza verify --full",
        )
    for each in group.files:
        yield removed(each.name, data_change=False)
