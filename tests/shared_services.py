"""One broker and one registry for all processes of a parallel run: an idle pair costs a tenth of a core.

Whoever needs them first starts them, and stops them once nobody else uses them.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.2

Addresses = dict[str, str]


def borrow(
    folder: Path, start: Callable[[], tuple[Addresses, Callable[[], None]]]
) -> tuple[Addresses, Callable[[], None]]:
    """The addresses of what the processes that name this folder share, and what to call when this one has done.

    Args:
        start: starts the services: their addresses, and what stops them. It is called by the first process alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there, mine = folder / "addresses.json", folder / f"{os.getpid()}.user"
    with _locked(folder):
        if there.exists():
            mine.touch()
            return json.loads(there.read_text()), mine.unlink
        addresses, stop = start()
        there.write_text(json.dumps(addresses))

    def end() -> None:
        with _locked(folder):
            there.unlink()  # who comes from now on starts others
        while any(_alive(user) for user in folder.glob("*.user")):
            time.sleep(LOOK_SECONDS)
        stop()

    return addresses, end


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
