"""What all processes of a parallel run share: broker and registry, object store, Spark's JVM.

Whoever needs one first starts it, and stops it once nobody else uses it.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LOOK_SECONDS = 0.2

Addresses = dict[str, str]

_leave: list[Callable[[], None]] = []
_stop: list[Callable[[], None]] = []


def folder_of_all(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """What all processes of this run have in common."""
    own = factory.getbasetemp()
    return own.parent if hasattr(config, "workerinput") else own


def borrow(folder: Path, start: Callable[[], tuple[Addresses, Callable[[], None]]]) -> Addresses:
    """The addresses of what the processes that name this folder share. `end` must be called when this one has done.

    Args:
        start: starts the services: their addresses, and what stops them. It is called by the first process alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there, mine = folder / "addresses.json", folder / f"{os.getpid()}.user"
    with _locked(folder):
        if there.exists():
            mine.touch()
            _leave.append(mine.unlink)
            found: Addresses = json.loads(there.read_text())
            return found
        addresses, stop = start()
        there.write_text(json.dumps(addresses))

    def end_own() -> None:
        with _locked(folder):
            there.unlink()  # who comes from now on starts others
        while any(_alive(user) for user in folder.glob("*.user")):
            time.sleep(LOOK_SECONDS)
        stop()

    _stop.append(end_own)
    return addresses


def end() -> None:
    """Let go of what others have started, then stop what this process has: two may wait for each other's."""
    for each in (*_leave, *_stop):
        each()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _alive(user: Path) -> bool:
    """Whether the process of this file runs: one that crashed has left its file behind."""
    try:
        os.kill(int(user.stem), 0)
    except ProcessLookupError:
        return False
    return user.exists()
