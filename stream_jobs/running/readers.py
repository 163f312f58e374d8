"""Which streams read a table, and what each has yet to read. Maintenance removes none of this.

A declared reader counts before its first batch too: it may begin at any moment, at the table as it stands then, and
where its checkpoint is lost it reads everything. A query that this release does not declare, but that has a
checkpoint, counts as well: its release may come back. If you are sure that it does not, remove the folder.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from foundation.errors import UnsafeState
from sinks.removable import Reader
from stream_jobs.places import Places
from stream_jobs.running.checkpoints import SHADOWS, Checkpoint

Position = tuple[int, bool]
"""The first version that Spark may ask for, and whether it stands for the table as it was then."""


class Readers:
    """Every stream over the lake's tables, as its checkpoint stands when this is made."""

    def __init__(self, places: Places, inputs: Mapping[str, Sequence[str]]) -> None:
        """Args: inputs: query → the tables that it streams, of every query that is declared."""
        self._inputs = inputs
        there = {folder.name for folder in places.checkpoints.glob("*.*") if folder.is_dir()}
        self._positions = {
            query: _positions(Checkpoint(query, places.checkpoint(query)))
            for query in sorted(there | set(self._inputs))
        }
        # A shadow reads what its live query reads, from where it has come itself.
        self._positions |= {
            f"the rebuild of {folder.name}": _positions(Checkpoint(folder.name, folder))
            for folder in sorted((places.checkpoints / SHADOWS).glob("*.*"))
        }

    def of(self, table: str, identity: str) -> list[Reader]:
        """The readers of one table (`<layer>.<table>`) with this id."""
        found = []
        for query, positions in self._positions.items():
            if identity in positions:
                found.append(Reader(query, *positions[identity]))
            elif table in self._inputs.get(query, ()):
                found.append(Reader(query, None))
        return found


def _positions(checkpoint: Checkpoint) -> Mapping[str, Position]:
    """Table id → position, by where the last batch that ended began.

    When a query starts again Spark asks its sources for that batch once more, though nothing of it is read: a source
    whose log begins later refuses to go on.
    """
    try:
        guard = checkpoint.guard
        if guard is None:
            return {}
        ends = checkpoint.finished(guard.generation)
        starts = checkpoint.finished(guard.generation, before=1) or ["-"] * len(ends)
        found: dict[str, Position] = {}
        for start, end in zip(starts, ends, strict=True):
            if end != "-" and "reservoirId" in (offset := json.loads(end)):
                position = _first_read(offset) if start == "-" else _position(json.loads(start))
                found[offset["reservoirId"]] = min(position, found.get(offset["reservoirId"], position))
    except (UnsafeState, OSError, ValueError):
        return {}  # damaged: until it is repaired, nobody knows where the query will go on, so nothing may be removed
    return found


def _position(offset: Mapping[str, Any]) -> Position:
    return int(offset["reservoirVersion"]), bool(offset.get("isStartingVersion", False))


def _first_read(end: Mapping[str, Any]) -> Position:
    """The table that a source listed first, by where its first batch ended: in it, or at the version after it."""
    version, is_snapshot = _position(end)
    return (version if is_snapshot else version - 1), True
