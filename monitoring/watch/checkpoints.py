"""The part `checkpoints`: how far each query has committed, when, and whether it is stopped."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from foundation.errors import UnsafeState
from monitoring.lag import spark_checkpoints
from monitoring.lag.spark_checkpoints import Progress, StopNote

_UNKNOWN = (-1, -1)


@dataclass(frozen=True)
class Query:
    """One query, by its checkpoint.

    Attributes:
        progress: None when it never started.
        committed_at: seconds since 1970; None before the first batch.
    """

    progress: Progress | None
    committed_at: float | None
    stop_note: StopNote | None


class Checkpoints:
    """The checkpoints below one folder. Unchanged ones are not read again. Threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[tuple[int, int], Progress | None]] = {}

    def look(self, queries: Iterable[str]) -> dict[str, Query]:
        """Every query by name. Raises: OSError; UnsafeState for a checkpoint that cannot be read."""
        if self._root.exists():
            next(self._root.iterdir(), None)  # a folder that cannot be listed must not look like one without queries
        return {name: self._query(name) for name in queries}

    def progress(self, query: str) -> Progress | None:
        """How far a query has come; None when it never started. Raises: as `look`."""
        state = self._state(query)
        known = self._known.get(query)
        if known is not None and state is not None and known[0] == state:
            return known[1]
        found = self._read(query)
        # The state from before the read: a commit during the read changes it, and is read at the next call.
        self._known[query] = state or _UNKNOWN, found
        return found

    def _read(self, query: str) -> Progress | None:
        try:
            return spark_checkpoints.read(self._root, query)
        except FileNotFoundError:
            return spark_checkpoints.read(self._root, query)  # Spark removed a file between listing and reading
        except (ValueError, KeyError) as error:
            raise UnsafeState(
                f"the checkpoint of {query} cannot be read: {error}", hint=f"correnteza checkpoint inspect {query}"
            ) from error

    def _state(self, query: str) -> tuple[int, int] | None:
        """A value that changes whenever the query commits or begins a new generation; None if that is unknown."""
        folder = self._root / query
        known = self._known.get(query)
        generation = known[1].generation if known is not None and known[1] is not None else None
        if generation is None:
            return None
        try:
            commits = (folder / f"g{generation}" / "commits").stat().st_mtime_ns
            return (folder / "guard.json").stat().st_mtime_ns, commits
        except FileNotFoundError:
            return None

    def _query(self, name: str) -> Query:
        progress = self.progress(name)
        is_said = (self._root / name / spark_checkpoints.STANDING).exists()  # practically never happens
        stop_note = spark_checkpoints.stop_note(self._root, name, progress) if is_said else None
        return Query(progress, self._committed_at(progress), stop_note)

    def _committed_at(self, progress: Progress | None) -> float | None:
        if progress is None or progress.committed_batch is None:
            return None
        generation = self._root / progress.query / f"g{progress.generation}"
        try:
            return (generation / "commits" / str(progress.committed_batch)).stat().st_mtime
        except FileNotFoundError:  # newer batches have been committed since
            return None
