"""A service of the stack: a program, a check whether it is ready, and how long the start may take."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from correnteza.embedded.processes import Program
from foundation.errors import DependencyUnavailable

READY_SECONDS = 300.0
"""Longest time to wait for a start; on two busy cores the registry needs up to 30 s, on slow ones three times that."""

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Service:
    """A program of the stack.

    Attributes:
        is_ready: checks the running program; false until it answers.
        address: address for clients, such as host:port; empty for a program without clients.
        stop_seconds: how long it may take to end before it is killed; a JVM may write its class archive then.
    """

    program: Program
    is_ready: Callable[[], bool]
    address: str = ""
    stop_seconds: float = 60.0

    @property
    def name(self) -> str:
        """The name of the program."""
        return self.program.name


def wait_ready(service: Service, has_ended: Callable[[], int | None], seconds: float = READY_SECONDS) -> None:
    """Wait until a started service answers.

    Args:
        has_ended: its exit code, or None while it runs.

    Raises:
        DependencyUnavailable: it ended, or did not answer in time; the log file is named.
    """
    deadline = time.monotonic() + seconds
    while not service.is_ready():
        code = has_ended()
        if code is not None:
            raise DependencyUnavailable(
                f"{service.name} ended with exit code {code} before it was ready; its log: {service.program.log}"
            )
        if time.monotonic() > deadline:
            raise DependencyUnavailable(
                f"{service.name} did not become ready within {seconds:.0f} s; its log: {service.program.log}"
            )
        time.sleep(POLL_SECONDS)
