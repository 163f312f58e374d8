"""A real driver under a benchmark: `correnteza run all`, started, watched until it writes, and stopped."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from correnteza.settings import Settings

STOP_SECONDS = 90
COMMAND = (sys.executable, "-m", "correnteza", "run", "all")


@contextlib.contextmanager
def driver(
    settings: Settings, log: Path, variables: Mapping[str, str], command: Sequence[str] = COMMAND
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the driver inside the block, and stop it at batch boundaries after it.

    Args:
        settings: with the addresses of broker and registry.
        log: gets all that it says.
        variables: beside the settings, such as `CORRENTEZA_BRONZE_INTERVAL_SECONDS`.
        command: another program in its place.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(command, env={**environment(settings), **variables}, stderr=said, stdout=said)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(settings: Settings) -> dict[str, str]:
    """Of a command on this home, broker and registry."""
    ours = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
    }
    return {**os.environ, **ours}


def wait(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Raises: TimeoutError when the condition is not met in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(1)
