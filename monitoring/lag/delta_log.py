"""Rows that were added to a table after a position. Only commit files are read, no data file."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.lag.spark_checkpoints import DeltaPosition
from storage import files
from storage.location import Location


@dataclass(frozen=True)
class Unread:
    """The rows of a table after a position.

    Attributes:
        records: rows appended, as the files' statistics count them.
        files: their names, relative to the table.
        oldest_at: the oldest of them, seconds since the epoch: by its Kafka timestamp in bronze, and by the time of its
            commit in other tables. None when there are none.
    """

    records: int
    files: tuple[str, ...]
    oldest_at: float | None


def unread(path: Location, position: DeltaPosition | None) -> Unread:
    """Rows in a table after a position; None means before the first row. Commit files that were cleaned up do not
    count.

    Commits that remove rows do not count either: a stream skips them, and the rows that they add are rewritten ones.
    """
    start = 0 if position is None or position.is_snapshot else position.version
    records, found, oldest = 0, list[str](), None
    for version in (version for version in versions(path) if version >= start):
        adds, brought_at = _commit(path, version)
        if position is not None and version == position.version and not position.is_snapshot:
            adds = adds[position.files :]
        for add in adds:
            statistics = json.loads(add.get("stats") or "{}")
            count = int(statistics.get("numRecords", 0))
            if not count:
                continue
            records += count
            found.append(str(add["path"]))
            at = _kafka_time(statistics) or brought_at
            oldest = at if oldest is None or (at is not None and at < oldest) else oldest
    return Unread(records, tuple(found), oldest)


def has_only_grown(path: Location, before: int, now: int) -> bool:
    """Whether every version after `before`, up to `now`, removed no rows; False if a commit file is gone."""
    for version in range(before + 1, now + 1):
        try:
            if _takes_away(actions_of(path, version)):
                return False
        except FileNotFoundError:
            return False
    return True


def versions(path: Location) -> list[int]:
    """The versions whose commit files exist, ascending."""
    names = (name.removesuffix(".json") for name in files.names(path / "_delta_log") if name.endswith(".json"))
    return sorted(int(name) for name in names if name.isdecimal())


def actions_of(path: Location, version: int) -> list[dict[str, Any]]:
    """The actions of a commit, in the log's order. Raises: FileNotFoundError where its file was cleaned up."""
    file = path / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in files.read(file).decode().splitlines() if line]


def committed_at(actions: list[dict[str, Any]]) -> float | None:
    """When a commit was made, seconds since the epoch; None if it has no time."""
    times = [action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action]
    return times[0] / 1000 if times and times[0] is not None else None


def _takes_away(actions: list[dict[str, Any]]) -> bool:
    return any(each["remove"].get("dataChange", True) for each in actions if "remove" in each)


def _commit(path: Location, version: int) -> tuple[list[dict[str, Any]], float | None]:
    """A version's new data files in the log's order, as a stream reads them, and its time."""
    actions = actions_of(path, version)
    adds = [action["add"] for action in actions if "add" in action and action["add"].get("dataChange", True)]
    adds = [] if _takes_away(actions) else adds
    return adds, committed_at(actions)


def _kafka_time(statistics: dict[str, Any]) -> float | None:
    text = (statistics.get("minValues") or {}).get("kafka_timestamp")
    return datetime.fromisoformat(text).timestamp() if text else None
