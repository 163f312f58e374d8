"""What tests share beside fixtures: waiting for a condition, and commands that are killed with all below them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from correnteza.embedded.processes import clear_leftovers
from correnteza.settings import Settings

T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """The condition's first true value; fails the test at the deadline, saying what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:.0f} s in vain: {what}")


def environment(settings: Settings, changes: dict[str, str]) -> dict[str, str]:
    """The environment of a command that has these settings (those a test may set) and some variables more."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORRENTEZA_")}
    ours = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry_url,
        "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
        "CORRENTEZA_JARS": settings.jars and str(settings.jars),
    }
    return {**clean, **{name: value for name, value in ours.items() if value}, **changes}


class Command(subprocess.Popen[str]):
    """A running `correnteza`; what it says goes to a file, so that no full pipe can stall it."""

    def __init__(self, arguments: tuple[str, ...], folder: Path, variables: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            super().__init__(
                [sys.executable, "-m", "correnteza", *arguments],
                cwd=folder,
                env=variables,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """Its standard output and error so far."""
        return self._output.read_text()

    def kill_tree(self) -> None:
        """SIGKILL to it, its process group and everything below."""
        if self.poll() is None:
            below = psutil.Process(self.pid).children(recursive=True)
            os.killpg(self.pid, signal.SIGKILL)
            for each in below:
                try:
                    each.kill()
                except psutil.NoSuchProcess:
                    continue
        self.wait(timeout=30)


def start_commands(settings: Settings, folder: Path) -> Iterator[Callable[..., Command]]:
    """The generator behind the fixtures that start commands."""
    started: list[Command] = []

    def start(*arguments: str, **variables: str) -> Command:
        output = folder / f"{arguments[0]}.{len(started)}.out"
        started.append(Command(arguments, folder, environment(settings, variables), output))
        return started[-1]

    yield start
    for process in started:
        process.kill_tree()
    clear_leftovers(settings.run.resolve())
