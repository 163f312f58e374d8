"""Notes about stopped queries, each a file beside the query's checkpoint. `status` reads them without a driver.

    checkpoints/<layer>.<table>/standing.json

A note is valid until the query commits another batch or begins another generation; nobody has to remove it. If the
checkpoint is lost, the note is valid until there is a checkpoint.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from foundation import clock
from foundation.errors import CorrentezaError
from foundation.files import replace_file
from foundation.redact import redacted
from stream_jobs.places import Places
from stream_jobs.running.guards import checkpoint_of

State = Literal["stopped", "stalled"]
"""`stopped`: only a change of data or code helps. `stalled`: a batch made no progress; the query is started again."""

WriteNote = Callable[[str, State, CorrentezaError], None]
"""Called with the query's name when it stops for good."""


@dataclass(frozen=True)
class StopNote:
    """The file's content.

    Attributes:
        at: when it stopped, ISO 8601 in UTC.
        generation, committed_batch: the position of the checkpoint then; None without a checkpoint, and before a batch
            was committed.
    """

    state: State
    reason: str
    hint: str | None
    at: str
    generation: int | None
    committed_batch: int | None


def stop_notes_in(places: Places) -> WriteNote:
    """A function that writes the file."""

    def note(query: str, state: State, error: CorrentezaError) -> None:
        checkpoint = checkpoint_of(places, query)
        guard = checkpoint.guard
        generation = None if guard is None else guard.generation
        committed = None if generation is None else checkpoint.last_batch(generation, "commits")
        standing = StopNote(state, redacted(str(error)), error.hint, clock.now().isoformat(), generation, committed)
        checkpoint.folder.mkdir(parents=True, exist_ok=True)
        replace_file(checkpoint.folder / "standing.json", json.dumps(asdict(standing), indent=1))

    return note
