"""Stop a query that finds nothing to read (it *rests*), and start it again when one of its inputs has changed.

A running query asks its inputs again and again, and holds a thread and a part of the heap; most sources publish once an
hour, a day or a month. The state of its inputs is represented by a *sign*: a cheap value that changes whenever an input
has gained anything. A query may rest once it has looked at its inputs and found nothing while the sign stayed the same:
so whatever the sign stands for has been read. When the driver starts, one whose checkpoint has committed all that its
inputs hold rests from the beginning.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

SUSPEND_AFTER_SECONDS = 60.0
"""How long a query that finds nothing goes on looking: longer than its interval, and than Spark takes to say so."""

InputState = Callable[[], Hashable | None]
"""The state of the inputs now; None while it is unknown."""


@dataclass
class Suspension:
    """Since when one query has found nothing, and the state of its inputs at that time."""

    sign: InputState
    _seen: Hashable | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _since_at: float = field(default=0.0, init=False)
    _rows: int = field(default=-1, init=False)

    def is_due(self, rows: int, looked_at: datetime | None) -> bool:
        """Whether the running query may rest.

        Args:
            rows: that it has read since it started.
            looked_at: when it last read its inputs, as Spark reports it; None if it has not yet.
        """
        now, sign = time.monotonic(), self.sign()
        if sign is None or sign != self._seen or rows != self._rows:
            self._seen, self._rows = sign, rows
            self._since, self._since_at = now, time.time()
            return False
        has_looked = looked_at is not None and looked_at.timestamp() > self._since_at
        return has_looked and now >= self._since + SUSPEND_AFTER_SECONDS

    def may_begin(self, has_unread: Callable[[], bool]) -> bool:
        """Whether a query that was not started yet would find nothing, so that it may rest from the beginning.

        Args: has_unread: whether its inputs hold what it has not committed. It is asked after the sign was taken.
        """
        sign = self.sign()
        if sign is None or has_unread():
            return False
        self._seen = sign
        return True

    def is_over(self) -> bool:
        """Whether an input of the resting query has changed."""
        sign = self.sign()
        return sign is not None and sign != self._seen
