"""Spark's checkpoints as files: how far a query has committed, readable while Spark is down."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foundation.errors import UnsafeState

_GUARD = "guard.json"
STANDING = "standing.json"
"""The file in which a driver notes that a query is stopped."""
# A Delta offset's index when the version before was read to its end; -100 is the newer spelling.
_START_OF_VERSION = (-1, -100)


@dataclass(frozen=True)
class DeltaPosition:
    """How far a query has read of a Delta table: every version below `version`, and its first `files` files.

    Attributes:
        is_snapshot: the query is still at its first read: `version` stands for all rows up to it, not for one commit.
    """

    table_id: str
    version: int
    files: int
    is_snapshot: bool


@dataclass(frozen=True)
class Progress:
    """A query's checkpoint.

    Attributes:
        generation: counts how often the checkpoint was begun again.
        topic_id: of the topic it reads; None for a query that reads tables.
        committed_batch: newest batch that ended; None before the first.
        in_flight: whether a newer batch was planned and has not ended (or died).
        kafka: (topic, partition) → next offset.
        delta: table id → position.
    """

    query: str
    generation: int
    topic_id: str | None
    committed_batch: int | None
    in_flight: bool
    kafka: dict[tuple[str, int], int]
    delta: dict[str, DeltaPosition]


def read(root: Path, query: str) -> Progress | None:
    """The state of a query named `<layer>.<table>`, of its present generation; None when it never started."""
    folder = root / query
    guard = _guard(folder)
    generation = int(guard["generation"]) if guard else _newest_generation(folder)
    if generation is None:
        return None
    of_generation = folder / f"g{generation}"
    planned, ended = _batches(of_generation / "offsets"), _batches(of_generation / "commits")
    committed = max(set(planned) & set(ended), default=None)
    kafka: dict[tuple[str, int], int] = {}
    delta: dict[str, DeltaPosition] = {}
    if committed is not None:
        # Two lines of header: the version of the format, and the batch's watermark and settings.
        for line in (of_generation / "offsets" / str(committed)).read_text(encoding="utf-8").splitlines()[2:]:
            _add(line, kafka, delta)
    elif guard.get("starting_offsets"):  # an adopted checkpoint that has not ended a batch yet
        _add(guard["starting_offsets"], kafka, delta)
    return Progress(
        query=query,
        generation=generation,
        topic_id=guard.get("topic_id"),
        committed_batch=committed,
        in_flight=bool(planned) and (committed is None or max(planned) > committed),
        kafka=kafka,
        delta=delta,
    )


@dataclass(frozen=True)
class StopNote:
    """The driver's note that a query is stopped.

    Attributes:
        state: `stopped` for good, or `stalled`: its batch made no progress.
    """

    state: Literal["stopped", "stalled"]
    reason: str
    hint: str | None


def stop_note(root: Path, query: str, progress: Progress | None) -> StopNote | None:
    """The valid note of a query, if it is stopped. A note from an earlier batch or generation does not count.

    Raises: UnsafeState when the file cannot be read.
    """
    file = root / query / STANDING
    place: tuple[int | None, int | None] = (None, None)  # without a guard the driver notes no place either
    if progress is not None and _guard(root / query):
        place = progress.generation, progress.committed_batch
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if (found["generation"], found["committed_batch"]) != place:
            return None
        return StopNote(found["state"], found["reason"], found["hint"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UnsafeState(f"{file} is damaged: {error}", hint=f"rm {file}; the driver writes it again") from error


def _add(line: str, kafka: dict[tuple[str, int], int], delta: dict[str, DeltaPosition]) -> None:
    if line == "-":  # a source that had given nothing yet
        return
    offset = json.loads(line)
    if "reservoirVersion" in offset:
        index = int(offset["index"])
        position = DeltaPosition(
            table_id=str(offset["reservoirId"]),
            version=int(offset["reservoirVersion"]),
            files=0 if index in _START_OF_VERSION else index + 1,
            is_snapshot=bool(offset.get("isStartingVersion", False)),
        )
        delta[position.table_id] = position
    else:
        for topic, partitions in offset.items():
            kafka.update({(topic, int(partition)): int(position) for partition, position in partitions.items()})


def _guard(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _GUARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(found)


def _newest_generation(folder: Path) -> int | None:
    numbers = [int(path.name[1:]) for path in folder.glob("g*") if path.name[1:].isdecimal()]
    return max(numbers, default=None)


def _batches(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.glob("*") if path.name.isdecimal()]
