"""How long a source is not polled after failures: a pure function of the failures in a row and the requested pause.

The state is in the outcome record (`consecutive_failures`, `circuit_open_until`), so every worker, every restart and
the command line see the same one. An open circuit is *half open* once its time is over: the next request polls, and its
outcome closes the circuit or opens it again for longer.
"""

from datetime import datetime, timedelta
from enum import StrEnum

OPENS_AFTER = 3
"""Failed polls in a row. Each poll has already retried its requests, so the problem is not short."""

FIRST, LONGEST = timedelta(minutes=15), timedelta(hours=6)
"""How long it stays open at first; it doubles with each further failure, up to the longest."""

LONGEST_ASKED_FOR = timedelta(hours=26)
"""A source may ask for more itself (Open-Meteo: "tomorrow"), up to this."""


class State(StrEnum):
    """The words that `correnteza sources` shows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


def open_until(failures: int, ended_at: datetime, asked_for: datetime | None) -> datetime | None:
    """Until when a source is not polled after a failed poll; None if it may be polled at once.

    Args:
        failures: failed polls in a row, this one included.
        asked_for: end of the pause that the source asked for, if any.
    """
    until = ended_at + min(FIRST * (1 << min(max(failures - OPENS_AFTER, 0), 10)), LONGEST)
    opened = until if failures >= OPENS_AFTER else None
    if asked_for is None or asked_for <= ended_at:
        return opened
    bounded = min(asked_for, ended_at + LONGEST_ASKED_FOR)
    return max(bounded, opened or bounded)


def state(until: datetime | None, now: datetime) -> State:
    """The state of a circuit. Args: until: end of its open time; None if it was never opened."""
    if until is None:
        return State.CLOSED
    return State.OPEN if now < until else State.HALF_OPEN
