"""Helpers of tests that are not fixtures: waiting for a condition, and commands that are killed with all below them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import psutil
import pytest

from correnteza.cli import app, exit_with_errors
from correnteza.embedded.processes import clear_leftovers
from correnteza.settings import Settings
from foundation import clock

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
UNMODIFIED = ("-m", "correnteza")
"""What Python is started with for a command as it is shipped; controls give it a text of their own after `-c`."""

SHORT_LIVED_JVM = {"SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1"}
"""For drivers that live a minute or two: without the optimizing compiler their JVM takes half the CPU. Spark's launcher
reads the variable; broker and registry, which start Java themselves, do not.
"""

PATIENCE_SECONDS = 300
"""Longest that a test waits for anything that comes in seconds. None is about how fast a machine is: what is not there
by then does not come. A command that does its work and ends has the time of the whole test.
"""


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The condition's first true value; fails the test at the deadline, saying what was waited for."""
    deadline = time.monotonic() + seconds
    while (began := time.monotonic()) < deadline:
        if value := condition():
            return value
        took = time.monotonic() - began
        time.sleep(min(max(0.05, 4 * took), 1.0))  # a condition that opens tables leaves the core to what it waits for
    pytest.fail(f"waited {seconds:.0f} s in vain: {what}")


def still(oracle: Callable[[], list[str]], seconds: float) -> list[str]:
    """The findings of an oracle after so many seconds; none as soon as it finds nothing."""
    until = time.monotonic() + seconds
    while (found := oracle()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def environment(settings: Settings, changes: dict[str, str]) -> dict[str, str]:
    """The environment of a command that has these settings (those a test may set) and some variables more."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORRENTEZA_")}
    ours = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry_url,
        "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
        "CORRENTEZA_JARS": settings.jars and str(settings.jars),
        "CORRENTEZA_LAKE": settings.lake,
        "CORRENTEZA_ARCHIVE": settings.archive,
        "CORRENTEZA_S3_ENDPOINT": settings.s3_endpoint,
        "CORRENTEZA_S3_ACCESS_KEY": settings.s3_access_key and settings.s3_access_key.get_secret_value(),
        "CORRENTEZA_S3_SECRET_KEY": settings.s3_secret_key and settings.s3_secret_key.get_secret_value(),
        "PYTHONPATH": str(ROOT),  # a program of a control may use what stands in tests/
    }
    return {**clean, **SHORT_LIVED_JVM, **{name: value for name, value in ours.items() if value}, **changes}


def run_to_its_end(
    settings: Settings, folder: Path, start: Sequence[str], arguments: Sequence[str], variables: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, until it ends or the test's time is over. It never raises by its code.

    Args:
        start: as `UNMODIFIED`.
    """
    return subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=folder,
        env=environment(settings, variables),
        capture_output=True,
        text=True,
        check=False,
    )


def run_here(
    settings: Settings, arguments: Sequence[str], variables: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[str]":
    """Run a command in this process: one of its own imports for a second.

    For commands that end by themselves and hold nothing. Their log lines are not among what they say.
    """
    said, told = StringIO(), StringIO()
    wanted = environment(settings, dict(variables))
    if wanted.get(clock.VARIABLE, "").count("@") == 1:
        wanted[clock.VARIABLE] += f"@{time.time()}"  # a replay begins with its process, and this one is older
    mask = os.umask(0)
    os.umask(mask)
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(said), redirect_stderr(told):
        for name in os.environ.keys() - wanted.keys():
            patched.delenv(name)
        for name, value in wanted.items():
            patched.setenv(name, value)
        patched.setattr(sys, "argv", ["correnteza", *arguments])
        patched.setattr(sys, "stdin", StringIO())
        try:
            exit_with_errors(app)
            code: object = 0
        except SystemExit as end:
            code = end.code
        finally:
            os.umask(mask)
    return subprocess.CompletedProcess(list(arguments), int(str(code or 0)), said.getvalue(), told.getvalue())


class Command(subprocess.Popen[str]):
    """A running `correnteza`; what it says goes to a file, so that no full pipe can stall it."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        variables: dict[str, str],
        output: Path,
        start: Sequence[str] = UNMODIFIED,
    ) -> None:
        """Args: start: as `UNMODIFIED`."""
        self._output = output
        with output.open("w") as file:
            super().__init__(
                [sys.executable, *start, *arguments],
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
        self.wait()


def wait_at_gate(gate: Path, process: Command, what: str) -> None:
    """Until a process waits at the gate of its failure point; fails the test if it ends first."""
    reached = gate.with_name(f"{gate.name}.reached")
    wait_for(lambda: reached.exists() or process.poll() is not None, what)
    assert reached.exists(), f"{what}: it ended with {process.returncode}: {process.said}"


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
