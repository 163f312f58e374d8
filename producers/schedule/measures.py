"""The counts that a worker of the schedule keeps in memory about its own work.

The command line passes the object that stores them (monitoring/metrics/schedule.py); without it nothing is stored.
"""

from collections.abc import Callable
from typing import Protocol, cast


class Measures(Protocol):
    """Called for everything that is counted, from any thread."""

    def polled(self, source: str, seconds: float, received: int, published: int) -> None:
        """A source was polled. Args: received: bytes of its answers. published: records."""

    def recorded(self, source: str, outcome: str) -> None:
        """The outcome of a poll was recorded, also if it sent no request."""

    def leads(self, is_leader: bool) -> None:
        """Whether this worker leads now."""


class _Nothing:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


UNMEASURED: Measures = cast(Measures, _Nothing())
"""Stores nothing."""
