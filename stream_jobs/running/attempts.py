"""How often a query is retried, and after which pause. Failures count; an absent dependency or a full disk does not."""

from collections import deque
from dataclasses import dataclass, field

from foundation.errors import CorrentezaError, TransientError

MOST_FAILURES = 5
WITHIN_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

NO_SPACE = "No space left on device"
"""The operating system's message for ENOSPC; Java and Spark include it in their own messages."""


@dataclass
class Attempts:
    """How often one job failed lately, and so how long to wait before the next start."""

    _failures: deque[float] = field(default_factory=deque)
    _away: int = 0

    def pause(self, error: CorrentezaError, now: float) -> float:
        """Seconds to wait after a failure. Raises: the error, when there were too many."""
        if isinstance(error, TransientError) or NO_SPACE in str(error):
            # A dependency that is down comes back by itself, and somebody frees the disk. Retry however long it takes:
            # a driver that ended and was restarted would only wait too.
            self._away += 1
            return _doubled(self._away)
        self._away = 0
        self._failures.append(now)
        while self._failures[0] < now - WITHIN_SECONDS:
            self._failures.popleft()
        if len(self._failures) > MOST_FAILURES:
            raise error
        return _doubled(len(self._failures))


def _doubled(times: int) -> float:
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(times - 1, 16), LONGEST_PAUSE_SECONDS))
