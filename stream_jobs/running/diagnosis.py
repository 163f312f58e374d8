"""Check whether each query would start, by the same guards as at a start, without a JVM. Changes nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UnsafeState
from stream_jobs.places import Places
from stream_jobs.running import retention, topic_offsets
from stream_jobs.running.guards import checkpoint_of, look, open_checkpoint
from stream_jobs.running.jobs import Broker
from stream_jobs.running.truncation import require_not_truncated

STATE_FILES = {
    "seen.json": "the clocks are read from bronze once more",
    "standing.json": "the driver writes it again",
    "unknown_schemas.json": "the registry is asked again",
}
"""Files beside a checkpoint, and what happens when one is removed."""


@dataclass(frozen=True)
class Damage:
    """Why a query would not start, and the command that fixes it."""

    query: str
    what: str
    mend: str


def of_queries(
    places: Places,
    queries: Iterable[str],
    broker: Broker | None,
    topic_ids: Mapping[str, str],
    topics: Mapping[str, str],
) -> list[Damage]:
    """The damaged ones among these queries (`<layer>.<table>`).

    Args:
        broker: None while the broker does not answer; then bronze queries are left out.
        topic_ids: topic → its id now; bronze queries whose topic is missing here are left out.
        topics: bronze query → topic.
    """
    found = []
    for query in queries:
        topic = topics.get(query)
        if topic is not None and (broker is None or topic not in topic_ids):
            continue
        try:
            _require_startable(places, query, broker, topic, topic_ids.get(topic or ""))
        except UnsafeState as error:
            found.append(Damage(query, str(error), error.hint or "correnteza checkpoint inspect " + query))
    return found


def _require_startable(
    places: Places, query: str, broker: Broker | None, topic: str | None, topic_id: str | None
) -> None:
    checkpoint = checkpoint_of(places, query)
    guard = checkpoint.guard
    begun = guard is not None and checkpoint.has_begun(guard.generation)
    orphaned = any(checkpoint.folder.glob("g*/offsets/*"))
    if not begun and not orphaned and not look(places, query, guard).has_rows:
        return  # it has never run: `open_checkpoint` would begin it
    guard = open_checkpoint(places, query, topic=topic, topic_id=topic_id)
    _require_sound(checkpoint.folder)
    if broker is not None and topic is not None:
        position = checkpoint.position(guard)
        first, ends = topic_offsets.bounds(broker, topic)
        retention.require_nothing_missing(query, topic, position, first)
        require_not_truncated(query, topic, position, ends)


def _require_sound(folder: Path) -> None:
    """Raises: UnsafeState when a file beside the checkpoint cannot be read; such a file may be missing, but not
    damaged."""
    for name, what_then in STATE_FILES.items():
        file = folder / name
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UnsafeState(f"{file} is damaged: {error}", hint=f"rm {file}  # {what_then}") from error
