"""The counts that a driver keeps in memory about its own work, so that no batch waits for a reader.

The command line passes the object that stores them (monitoring/metrics/stream.py); without it nothing is stored.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, cast


class Measures(Protocol):
    """Called for everything that is counted, from any thread."""

    def started(self, query: str) -> None:
        """A query was started, for the first time or again."""

    def batch_ended(self, query: str, rows: int, milliseconds: Mapping[str, int]) -> None:
        """A batch with rows ended. Args: milliseconds: Spark's `durationMs`."""

    def looked(self, query: str) -> None:
        """A query ended a batch, or looked for input and found none."""

    def rows_judged(self, layer: str, outcomes: Mapping[str, int]) -> None:
        """The outcome of a batch's rows."""

    def restarted(self, query: str) -> None:
        """A query runs again after it failed or stalled."""

    def broken(self, dataset: str, rows: int) -> None:
        """So many rows broke an expectation."""

    def maintained(self) -> None:
        """A round of maintenance ended, and no table was put off."""

    def memory(self, area: str, used: int, committed: int, most: int | None) -> None:
        """What the JVM takes, in bytes. Args: area: `heap` or `nonheap`. most: None for no bound."""

    def files_removed(self, count: int) -> None:
        """Maintenance removed data and log files."""


class _Nothing:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


UNMEASURED: Measures = cast(Measures, _Nothing())
"""Stores nothing."""
