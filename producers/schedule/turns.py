"""Who polls a source: a worker of `schedule`, or a command for one slot (`poll --slot`), but never both at once.

The workers of a schedule share a source's lock: which of them polls, Kafka's partitions and transactional ids decide. A
command holds it alone. Whoever waited reads the outcomes again and finds the slot done. The operating system releases
the lock with its process, however it ends.
"""

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from foundation.errors import TransientError

PATIENCE_SECONDS = 30 * 60
"""How long a worker waits for a command. Then it polls, which fences the command: that one may be frozen."""

LOOK_SECONDS = 0.2

Turn = Callable[[str, threading.Event], AbstractContextManager[None]]
"""(source, stopping) → holds the source for a worker."""


def no_turn(source: str, stopping: threading.Event) -> AbstractContextManager[None]:
    """For a schedule beside which no command polls slots."""
    return nullcontext()


class Turns:
    """The locks, one file per source."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def of_worker(self, source: str, stopping: threading.Event) -> Iterator[None]:
        """Hold a source together with other workers; waits while a command has it.

        Raises: TransientError when this worker stops meanwhile.
        """
        with self._file(source) as file:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _taken(file, fcntl.LOCK_SH) and time.monotonic() < deadline:
                if stopping.wait(LOOK_SECONDS):
                    raise TransientError(f"{source}: a command polls it, and this worker stops")
            yield

    @contextmanager
    def of_command(self, source: str) -> Iterator[None]:
        """Hold a source alone. Raises: TransientError when a worker or another command polls it now."""
        with self._file(source) as file:
            if not _taken(file, fcntl.LOCK_EX):
                raise TransientError(f"{source} is being polled by another process", hint="correnteza sources")
            yield

    @contextmanager
    def _file(self, source: str) -> Iterator[int]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{source}.lock").open("a") as file:
            yield file.fileno()


def _taken(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
