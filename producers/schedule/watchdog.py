"""Ends a process that is alive and does nothing, so that a supervisor starts it again.

A separate thread checks, because an event loop that hangs cannot check itself. Only time that the thread itself saw
pass counts: a process that was stopped for a while (SIGSTOP, a laptop's lid) has not been idle for that long.
"""

import threading
import time
from collections.abc import Callable

from foundation import notify

LOOK_SECONDS = 0.5


class StallClock:
    """How long something has not been going on, as seen by looks at it. Pure."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked_at: float | None = None

    def look(self, now: float, *, is_stalled: bool) -> float:
        """One look at the monotonic moment `now`; returns the seconds seen to be stalled since things last went on."""
        passed = 0.0 if self._looked_at is None else min(now - self._looked_at, 2 * LOOK_SECONDS)
        self._looked_at = now
        self.seconds = self.seconds + passed if is_stalled else 0.0
        return self.seconds


def watch(trouble: Callable[[], str | None], limit: float, stalled: Callable[[str, float], None]) -> None:
    """Start looking; call `stalled` (trouble, seconds) once nothing has gone on for `limit` seconds."""

    def look() -> None:
        stall = StallClock()
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                found = trouble()
            except Exception as error:  # a watchdog that dies of what it finds watches nothing
                found = f"{type(error).__name__}: {error}"
            if found is None:
                notify.alive()
            if stall.look(time.monotonic(), is_stalled=found is not None) >= limit and found is not None:
                stalled(found, stall.seconds)
                return

    threading.Thread(target=look, name="watchdog", daemon=True).start()
