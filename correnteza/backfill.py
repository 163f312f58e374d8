"""A backfill: fetch, once, the days before those of the schedule, while the schedule runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from foundation import log
from foundation.errors import UsageError
from producers.model import Source, Span
from producers.session import Tally

LOG_SECONDS = 10.0
"""Seconds between two lines about progress, if there is no terminal for a bar."""


def days(source: Source, live: Span, since: date, until: date | None) -> Span | None:
    """The days that a backfill fetches; None if the live schedule owns all of them, so that an ordinary poll fetches
    them.

    Raises: UsageError, naming the possible days.
    """
    if not source.keeps_history:
        raise UsageError(
            f"{source.name} keeps no history: only its current data can be polled",
            hint=f"correnteza poll {source.name}",
        )
    if until is not None and since > until:
        raise UsageError(f"--since {since} is after --until {until}")
    if since >= live.first:
        return None
    return Span(since, min(until or date.max, live.first - timedelta(days=1)))


@contextmanager
def shown(source: Source, console: Console) -> Iterator[Callable[[Tally], None]]:
    """A function to call with the tally. It shows a bar with the remaining time on a terminal, otherwise a line now and
    then."""
    if not console.is_terminal:
        yield _Lines(source.name)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows, left:"),
        # At some sources a window takes minutes: a shorter memory would lose the speed between two of them.
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=3600, transient=True) as bar:
        task = bar.add_task(source.name, total=1.0, rows=0)
        yield lambda tally: bar.update(task, completed=tally.share, rows=tally.rows)


class _Lines:
    def __init__(self, source: str) -> None:
        self._source = source
        self._began = self._said_at = time.monotonic()

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._said_at < LOG_SECONDS:
            return
        self._said_at = now
        log.get_logger("producers").info(
            "backfill_progressed",
            source=self._source,
            percent=round(100 * tally.share, 1),
            rows=tally.rows,
            remaining_seconds=remaining_seconds(now - self._began, tally.share),
        )


def remaining_seconds(elapsed: float, share: float) -> int | None:
    """Remaining time at the present speed: elapsed × (1 − share) / share; None before anything is done."""
    return round(elapsed * (1 - share) / share) if share else None
