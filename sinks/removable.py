"""The files that can be removed from a table's folder: data files that are no longer in the table, and old log entries.

Nothing is removed that a stream still has to read. A stream has a version: it reads the log from there on, and the
files that those versions added, even if later versions removed them; at its first read it lists the whole table at that
version. So all streams have to be considered, and neither Spark nor delta-rs knows them. Both would remove log entries
by age only, so the tables forbid that (`delta.enableExpiredLogCleanup`).
"""

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from foundation.failpoints import failpoint
from sinks import tables
from sinks.listing import Listing
from storage import delta, files
from storage.health import asked_on_failure
from storage.location import Address, Location, location

KEPT_DAYS = 7
"""Days that a file stays after its removal from the table: longer than any batch, query or `verify` reads one
version."""
LOG_DAYS = 2
"""Days that a log entry stays: a daily `verify` still finds every commit since the last one. Every commit lists the
log's folder, so it must not hold a month of entries of a table that gets one every five seconds."""

_DAY = 86_400
_LOG_ENTRY = re.compile(r"\.?(\d{20})\.")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_ATTEMPT = re.compile(r"[0-9a-f]{32}/")
"""The folder that sinks/commit.py has Spark write to; no commit ever names a file in it."""


@dataclass(frozen=True)
class Reader:
    """A stream that reads the table.

    Attributes:
        query: `<layer>.<table>`.
        version: the first version that it may read. None if that is unknown, as before its first batch; then it may
            need everything.
        is_snapshot: whether the stream is at its first read, which lists the table at `version`.
    """

    query: str
    version: int | None
    is_snapshot: bool = False


class Removable(NamedTuple):
    """Files that may be removed, and files that only readers still need.

    Attributes:
        files: below the table's folder, or its log's.
        held: old files that readers still need.
        held_by: queries that need them, the one that is furthest behind first.
    """

    files: list[str]
    held: list[str]
    held_by: list[str]


def files_to_remove(listing: Listing, readers: Sequence[Reader]) -> Removable:
    """Data files that have not been in the table for KEPT_DAYS, or never were."""
    path = listing.path
    with asked_on_failure(path):
        old = listing.table.vacuum(retention_hours=KEPT_DAYS * 24, dry_run=True, full=True)
    # delta-rs lists a removed file as long as the log contains its removal.
    names = sorted(files.sizes(path, {unquote(name) for name in old}))
    if not names or not readers:
        return Removable(names, [], [])
    needed = {reader.query: _needed(path, reader) for reader in readers}
    held, held_by = [], set()
    for name in names:
        if _ATTEMPT.match(name):
            continue
        if by := [query for query, files in needed.items() if files is None or name in files]:
            held.append(name)
            held_by |= set(by)
    kept = set(held)
    return Removable([name for name in names if name not in kept], held, _slowest_first(readers, held_by))


def log_to_remove(path: str, readers: Sequence[Reader], *, now: float) -> Removable:
    """Entries of the log below the newest checkpoint that every reader can begin from, older than LOG_DAYS.

    Args:
        now: seconds since the epoch, by the clock of the file system.
    """
    folder = location(path) / "_delta_log"
    entries = sorted(
        (int(match[1]), entry) for entry in files.entries(folder) if (match := _LOG_ENTRY.match(entry.name)) is not None
    )
    newest = _last_checkpoint(folder)
    checkpoints = [
        version for version, entry in entries if version <= newest and _CHECKPOINT.fullmatch(entry.name) is not None
    ]
    by_age = []
    for version, entry in entries:
        if version >= max(checkpoints, default=0) or entry.modified_at > now - LOG_DAYS * _DAY:
            break  # a gap in the log would break readers that start before it
        by_age.append((version, entry.name))
    floor = min((reader.version or 0 for reader in readers), default=None)
    last = max((version for version in checkpoints if floor is None or version <= floor), default=0)
    held = [name for version, name in by_age if version >= last]
    behind = {reader.query for reader in readers if (reader.version or 0) <= (by_age[-1][0] if by_age else -1)}
    return Removable([name for version, name in by_age if version < last], held, _slowest_first(readers, behind))


def remove(folder: Address, names: Iterable[str], *, until: float) -> int:
    """Delete files, and folders that become empty; returns how many files were deleted.

    Args:
        names: below the folder; deleted in this order.
        until: by `time.monotonic`, when to stop; the next call finds the remaining files.
    """
    gone = 0
    for name in names:
        if time.monotonic() > until:
            break
        files.remove(location(folder) / name)
        gone += 1
        failpoint("removed")
        files.remove_empty_folders(folder, name)
    return gone


def entries(path: str) -> list[tuple[str, int]]:
    """Name and bytes of the log's files."""
    return sorted((entry.name, entry.size) for entry in files.entries(location(path) / "_delta_log"))


def commits_since_checkpoint(names: Iterable[str]) -> int:
    """How many commits a reader has to read after the newest checkpoint. Args: names: of the log's files."""
    names = list(names)
    newest = max((int(match[1]) for name in names if (match := _CHECKPOINT.fullmatch(name)) is not None), default=-1)
    return sum(name[:20].isdecimal() and name[20:] == ".json" and int(name[:20]) > newest for name in names)


def _last_checkpoint(folder: Location) -> int:
    """The version of the checkpoint that readers of the log are pointed to; -1 without one."""
    try:
        return int(json.loads(files.read(folder / "_last_checkpoint"))["version"])
    except (FileNotFoundError, ValueError, KeyError):
        return -1


def _needed(path: str, reader: Reader) -> set[str] | None:
    """Files that a reader has yet to read; None if that is unknown."""
    if reader.version is None:
        return None
    newest = tables.version(path)
    needed: set[str] = set()
    if reader.is_snapshot:
        table = delta.table(path, reader.version)
        root = table.table_uri.removeprefix("file://")
        needed |= {uri.removeprefix(root) for uri in table.file_uris()}
    for version in range(reader.version, newest + 1):
        actions = tables.actions_of(path, version)
        if actions is None:
            return None
        needed |= {unquote(action["path"]) for kind, action in actions if kind == "add"}
    return needed


def _slowest_first(readers: Sequence[Reader], queries: set[str]) -> list[str]:
    found = sorted((reader.version or 0, reader.query) for reader in readers if reader.query in queries)
    return [query for _, query in found]
