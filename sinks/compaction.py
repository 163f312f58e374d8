"""Small files of a table become large ones, in a commit that says that no row changed (`dataChange=false`).

Rows are copied as they are: a file's columns, types and values are read and written again, batch by batch, so memory
does not grow with the table. A stream skips such a commit, since it neither adds nor removes a row.

delta-rs compacts too, but keeps instants in the log to the millisecond, and so bounds that are no bounds. The
statistics here are those of every other commit (sinks/commit.py).

delta-rs does not hold a commit that takes files out against others: of two that replace the same file both succeed, and
its rows stand twice. So whoever compacts a table must be the only one who replaces its files meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks.commit import in_place, removed, statistics_of, transact
from sinks.copies import copied
from sinks.snapshot import Snapshot


@dataclass(frozen=True)
class Policy:
    """Which files of a table are worth writing anew.

    Attributes:
        small_bytes: a file below it is small.
        target_bytes: of a file that is written from small ones.
        at_least: small files that a partition must have.
        closed_days: leave out the partition of the present day; for a table with year, month and day as partitions.
        kept_days: of such a table, after how many days rows leave it; None for never.
    """

    small_bytes: int
    target_bytes: int
    at_least: int
    closed_days: bool = False
    kept_days: int | None = None


@dataclass(frozen=True)
class File:
    """One data file, as the table's log has it. Args: rows: None where the log does not say."""

    name: str
    size: int
    rows: int | None


@dataclass(frozen=True)
class Group:
    """Files of one partition that become one file.

    Attributes:
        partition: column → value, as the log writes it.
    """

    partition: dict[str, str | None]
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


def groups(snapshot: Snapshot, policy: Policy, today: date) -> list[Group]:
    """What a policy makes of the table's files; an empty list when nothing is worth it.

    Files that become one lie next to each other in the columns with statistics, so that it can still be left out.

    Args:
        today: UTC.
    """
    partitions: dict[tuple[tuple[str, str | None], ...], list[tuple[Any, File]]] = {}
    columns = snapshot.partition_columns
    for action in pa.table(snapshot.table.get_add_actions(flatten=True)).to_pylist():
        if action["size_bytes"] < policy.small_bytes:
            partition = tuple((column, _text(action[f"partition.{column}"])) for column in columns)
            place = [_comparable(action.get(f"min.{column}")) for column in snapshot.with_statistics]
            file = File(unquote(action["path"]), int(action["size_bytes"]), action["num_records"])
            partitions.setdefault(partition, []).append(((place, action["modification_time"]), file))
    found = []
    for partition in sorted(partitions, key=lambda each: [_comparable(value) for _, value in each]):
        files = partitions[partition]
        if len(files) >= policy.at_least and not (policy.closed_days and _day(dict(partition)) >= today):
            ordered = [file for _, file in sorted(files, key=lambda each: each[0])]
            found += [Group(dict(partition), part) for part in _parts(ordered, policy.target_bytes)]
    return found


def expired(snapshot: Snapshot, policy: Policy, today: date) -> list[str]:
    """Files whose day is over for longer than the policy keeps; none where it keeps all.

    Args:
        today: UTC.
    """
    if policy.kept_days is None:
        return []
    last = today - timedelta(days=policy.kept_days)
    found = []
    for action in pa.table(snapshot.table.get_add_actions(flatten=True)).to_pylist():
        if _day({name: _text(action[f"partition.{name}"]) for name in ("year", "month", "day")}) < last:
            found.append(unquote(action["path"]))
    return sorted(found)


def expire(snapshot: Snapshot, files: Sequence[str]) -> None:
    """Take whole files out of a table, in one commit; streams that read it must skip commits that do so."""
    transact(snapshot.table, [removed(name, data_change=True) for name in files])


def compact(
    snapshot: Snapshot,
    wanted: Sequence[Group],
    *,
    until: float,
    is_owner: Callable[[], bool] = lambda: True,
) -> list[Group]:
    """Write groups anew, one after the other, and commit once; returns those that were.

    Args:
        snapshot: the version that the groups are of; nobody else may replace the table's files meanwhile.
        until: by `time.monotonic`, when no further group is begun; one is written whatever the time.
        is_owner: asked before the commit; there is none when the table has another owner by then.

    Raises:
        UnsafeState: a file does not hold the rows that the log says, or somebody has replaced it; nothing is committed.
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
    newest = DeltaTable(snapshot.path)
    root = newest.table_uri.removeprefix("file://")
    there = {uri.removeprefix(root) for uri in newest.file_uris()}
    if gone := [file.name for group in done for file in group.files if file.name not in there]:
        raise UnsafeState(f"{gone[0]} of the table at {snapshot.path} was replaced while it was compacted")
    transact(newest, actions)
    failpoint("compaction_committed")
    return done


def _rewritten(snapshot: Snapshot, group: Group) -> Iterator[AddAction | RemoveAction]:
    """Write one group's rows, and say what the log needs to know of the files that come and go."""
    root = Path(snapshot.path)
    folder = (root / group.files[0].name).parent
    written = copied([root / file.name for file in group.files], folder)
    rows = 0
    for file in written:
        footer = pq.read_metadata(file)
        rows += footer.num_rows
        yield in_place(snapshot, file, group.partition, statistics_of(footer, snapshot), data_change=False)
    told = [file.rows for file in group.files]
    if None not in told and sum(filter(None, told)) != rows:
        raise UnsafeState(
            f"{group.files[0].name} and {len(told) - 1} more files of the table at {snapshot.path} hold {rows} rows,"
            f" and the log says {sum(filter(None, told))}",
            hint="correnteza verify --full",
        )
    for each in group.files:
        yield removed(each.name, data_change=False)


def _parts(files: Sequence[File], target: int) -> Iterator[tuple[File, ...]]:
    """Neighbours that fill one file; one alone stays as it is."""
    part: list[File] = []
    size = 0
    for file in files:
        part.append(file)
        size += file.size
        if size >= target:
            yield tuple(part)
            part, size = [], 0
    if len(part) > 1:
        yield tuple(part)


def _comparable(value: Any) -> tuple[bool, Any]:
    """Files without a bound come first."""
    return (value is not None, value)


def _day(partition: dict[str, str | None]) -> date:
    return date(*(int(partition[name] or 0) for name in ("year", "month", "day")))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
