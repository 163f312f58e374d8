"""Rows that were added to a table after a position. Only commit files are read, no data file."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring.lag.spark_checkpoints import DeltaPosition


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


def unread(path: Path, position: DeltaPosition | None) -> Unread:
    """Rows in a table after a position; None means before the first row. Commit files that were cleaned up do not
    count.

    Commits that remove rows do not count either: a stream skips them, and the rows that they add are rewritten ones.
    """
    start = 0 if position is None or position.is_snapshot else position.version
    records, files, oldest = 0, [], None
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
            files.append(str(add["path"]))
            at = _kafka_time(statistics) or brought_at
            oldest = at if oldest is None or (at is not None and at < oldest) else oldest
    return Unread(records, tuple(files), oldest)


def has_only_grown(path: Path, before: int, now: int) -> bool:
    """Whether every version after `before`, up to `now`, removed no rows; False if a commit file is gone."""
    for version in range(before + 1, now + 1):
        try:
            if _takes_away(actions_of(path, version)):
                return False
        except FileNotFoundError:
            return False
    return True


def versions(path: Path) -> list[int]:
    """The versions whose commit files exist, ascending."""
    return sorted(int(file.stem) for file in (path / "_delta_log").glob("*.json") if file.stem.isdecimal())


def actions_of(path: Path, version: int) -> list[dict[str, Any]]:
    """The actions of a commit, in the log's order. Raises: FileNotFoundError where its file was cleaned up."""
    file = path / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def committed_at(actions: list[dict[str, Any]]) -> float | None:
    """When a commit was made, seconds since the epoch; None if it has no time."""
    times = [action["commitInfo"].get("timestamp") for action in actions if "commitInfo" in action]
    return times[0] / 1000 if times and times[0] is not None else None


def _takes_away(actions: list[dict[str, Any]]) -> bool:
    return any(each["remove"].get("dataChange", True) for each in actions if "remove" in each)


def _commit(path: Path, version: int) -> tuple[list[dict[str, Any]], float | None]:
    """A version's new data files in the log's order, as a stream reads them, and its time."""
    actions = actions_of(path, version)
    adds = [action["add"] for action in actions if "add" in action and action["add"].get("dataChange", True)]
    adds = [] if _takes_away(actions) else adds
    return adds, committed_at(actions)


def _kafka_time(statistics: dict[str, Any]) -> float | None:
    text = (statistics.get("minValues") or {}).get("kafka_timestamp")
    return datetime.fromisoformat(text).timestamp() if text else None
