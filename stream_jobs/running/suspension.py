"""Suspend a query that finds nothing to read, and start it again when one of its inputs has changed.

A running query asks its inputs again and again, and holds a thread and a part of the heap; most sources publish once an
hour, a day or a month. The *state* of a query's inputs is a value that is cheap to read and changes whenever an input
has gained anything. A query may be suspended once it has looked at its inputs and found nothing, while their state
stayed the same: then everything in that state has been read. When the driver starts, a query whose checkpoint has
committed all that its inputs hold is suspended from the beginning.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

SUSPEND_AFTER_SECONDS = 60.0
"""How long a query must find nothing: longer than its interval, and than Spark takes to report that it found
nothing."""

InputState = Callable[[], Hashable | None]
"""A function that returns the state of the inputs now; None while it is unknown."""


@dataclass
class Suspension:
    """Since when one query has found nothing, and the state of its inputs at that time."""

    state: InputState
    _seen: Hashable | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _since_at: float = field(default=0.0, init=False)
    _rows: int = field(default=-1, init=False)

    def is_due(self, rows: int, looked_at: datetime | None) -> bool:
        """Whether the running query may be suspended.

        Args:
            rows: that it has read since it started.
            looked_at: when it last read its inputs, as Spark reports it; None if it has not yet.
        """
        now, state = time.monotonic(), self.state()
        if state is None or state != self._seen or rows != self._rows:
            self._seen, self._rows = state, rows
            self._since, self._since_at = now, time.time()
            return False
        has_looked = looked_at is not None and looked_at.timestamp() > self._since_at
        return has_looked and now >= self._since + SUSPEND_AFTER_SECONDS

    def may_begin(self, has_unread: Callable[[], bool]) -> bool:
        """Whether a query that was not started yet would find nothing, so that it may be suspended from the beginning.

        Args: has_unread: whether its inputs hold what it has not committed. Called after the state was read.
        """
        state = self.state()
        if state is None or has_unread():
            return False
        self._seen = state
        return True

    def is_over(self) -> bool:
        """Whether an input of the suspended query has changed."""
        state = self.state()
        return state is not None and state != self._seen
