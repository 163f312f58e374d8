"""Plan the maintenance of a table, with delta-rs only. `maintenance` carries the plan out.

Nothing of Spark is imported here, so `correnteza status` can say what maintenance would save.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from sinks import removable
from sinks.listing import Listing
from sinks.removable import Reader, Removable
from storage import files

MOST_COMMITS = 20
"""Commits since the newest checkpoint; if there are more, a new checkpoint is written."""


@dataclass(frozen=True)
class Policy:
    """Which files of a table are compacted.

    Attributes:
        small_bytes: files smaller than this are compacted.
        target_bytes: size of a file that is written from small ones.
        at_least: a partition with fewer small files is left as it is.
        closed_days: leave out the partition of the present day; for a table with year, month and day as partitions.
        kept_days: days after which rows of such a table are removed; None for never.
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


def groups(listing: Listing, policy: Policy, today: date) -> list[Group]:
    """The groups of files to compact by a policy; may be empty.

    Files that are merged have neighbouring values in the columns with statistics, so that queries can still skip the
    new file.

    Args:
        today: UTC.
    """
    partitions: dict[tuple[tuple[str, str | None], ...], list[tuple[Any, File]]] = {}
    columns = listing.partition_columns
    actions = pa.table(listing.table.get_add_actions(flatten=True))
    if sum(size < policy.small_bytes for size in actions["size_bytes"].to_pylist()) < policy.at_least:
        return []  # true for most tables, and saves the costly part below
    for action in actions.to_pylist():
        if action["size_bytes"] < policy.small_bytes:
            partition = tuple((column, _text(action[f"partition.{column}"])) for column in columns)
            place = [_comparable(action.get(f"min.{column}")) for column in listing.with_statistics]
            file = File(unquote(action["path"]), int(action["size_bytes"]), action["num_records"])
            partitions.setdefault(partition, []).append(((place, action["modification_time"]), file))
    found = []
    for partition in sorted(partitions, key=lambda each: [_comparable(value) for _, value in each]):
        files = partitions[partition]
        if len(files) >= policy.at_least and not (policy.closed_days and _day(dict(partition)) >= today):
            ordered = [file for _, file in sorted(files, key=lambda each: each[0])]
            found += [Group(dict(partition), part) for part in _parts(ordered, policy.target_bytes)]
    return found


def expired(listing: Listing, policy: Policy, today: date) -> list[str]:
    """Files of days that are older than the policy keeps; empty if it keeps all.

    Args:
        today: UTC.
    """
    if policy.kept_days is None:
        return []
    last = today - timedelta(days=policy.kept_days)
    found = []
    for action in pa.table(listing.table.get_add_actions(flatten=True)).to_pylist():
        if _day({name: _text(action[f"partition.{name}"]) for name in ("year", "month", "day")}) < last:
            found.append(unquote(action["path"]))
    return sorted(found)


@dataclass(frozen=True)
class Plan:
    """The size of a table, and the planned work.

    Attributes:
        files, bytes: of the present version.
        log_files, log_bytes: of its log, checkpoints included.
        expired: files of days that the table does not keep.
        groups: of small files, each to become one.
        needs_checkpoint: whether there are many commits since the newest checkpoint.
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
        """Number of files that would be compacted."""
        return sum(len(group.files) for group in self.groups)

    @property
    def held_by(self) -> list[str]:
        """Queries that still need old files, the one that is furthest behind first."""
        return list(dict.fromkeys([*self.old_files.held_by, *self.old_log.held_by]))


def look(table: str, listing: Listing, policy: Policy, readers: Sequence[Reader], *, now: datetime) -> Plan:
    """Plan the maintenance of a table; changes nothing.

    Args:
        table: `<layer>.<table>`.
        listing: its newest version.
        readers: every stream that reads the table.
        now: UTC; determines which days are closed and which log entries are old.
    """
    path = listing.path
    sizes = listing.table.get_add_actions()["size_bytes"].to_pylist()
    log = dict(removable.entries(path))
    old_files = removable.files_to_remove(listing, readers)
    old_log = removable.log_to_remove(path, readers, now=now.timestamp())
    return Plan(
        table=table,
        path=path,
        files=len(sizes),
        bytes=sum(sizes),
        log_files=len(log),
        log_bytes=sum(log.values()),
        expired=expired(listing, policy, now.date()),
        groups=groups(listing, policy, now.date()),
        needs_checkpoint=removable.commits_since_checkpoint(log) > MOST_COMMITS,
        old_files=old_files,
        old_log=old_log,
        old_bytes=sum(files.sizes(path, old_files.files).values()) + sum(log.get(name, 0) for name in old_log.files),
    )


def _parts(files: Sequence[File], target: int) -> Iterator[tuple[File, ...]]:
    """Neighbouring files that together fill one file; a single file stays as it is."""
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
