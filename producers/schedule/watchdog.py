"""Ends a process that is alive and does nothing, so that a supervisor starts it again.

A separate thread checks, because an event loop that hangs cannot check itself. Only time during which the thread itself
ran counts: a process that was stopped for a while (SIGSTOP, a closed laptop) has not been idle for that time.
"""

import threading
import time
from collections.abc import Callable

from foundation import notify

LOOK_SECONDS = 0.5


class StallClock:
    """How long there has been no progress, by repeated calls. Pure."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked_at: float | None = None

    def look(self, now: float, *, is_stalled: bool) -> float:
        """Called at the monotonic time `now`; returns the observed seconds without progress."""
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, 2 * LOOK_SECONDS)
        self._looked_at = now
        self.seconds = self.seconds + passed if is_stalled else 0.0
        return self.seconds


def watch(trouble: Callable[[], str | None], limit: float, stalled: Callable[[str, float], None]) -> None:
    """Start to watch; calls `stalled` (trouble, seconds) once there was no progress for `limit` seconds."""

    def look() -> None:
        stall = StallClock()
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                found = trouble()
            except Exception as error:  # an exception must not end the watchdog
                found = f"{type(error).__name__}: {error}"
            if found is None:
                notify.alive()
            if stall.look(time.monotonic(), is_stalled=found is not None) >= limit and found is not None:
                stalled(found, stall.seconds)
                return

    threading.Thread(target=look, name="watchdog", daemon=True).start()
