"""The current time in UTC; in a replay, the time of a faster clock, so that a day of polls passes in minutes.

`CORRENTEZA_CLOCK` sets the replay clock; the command line refuses it under the production profile. It also sets it for
a command beside a running replay (`correnteza/replay_state.py`). Forms:

    2025-11-10T00:00:00Z@480              starts there with this process; 480 seconds pass in one
    2025-11-10T00:00:00Z@480@1763000000   as above, but it started at this real time (seconds since 1970), so that
                                          processes that start at different times agree

This clock is used for due polls and for times of fetches. Durations and timeouts use `time.monotonic`.
"""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from foundation.errors import UsageError

VARIABLE = "CORRENTEZA_CLOCK"

_STARTED = time.time()


@dataclass(frozen=True)
class _Replay:
    """A clock that showed `start` at the real time `origin` (seconds since 1970) and runs `factor` times as fast."""

    start: datetime
    factor: float
    origin: float

    def at(self, real: float) -> datetime:
        return self.start + timedelta(seconds=(real - self.origin) * self.factor)


def now() -> datetime:
    """The current time, UTC. Raises: UsageError when CORRENTEZA_CLOCK cannot be read."""
    setting = os.environ.get(VARIABLE)
    return _parsed(setting).at(time.time()) if setting else datetime.now(UTC)


@cache
def _parsed(setting: str) -> _Replay:
    try:
        start, factor, *origin = setting.split("@")
        parsed = _Replay(datetime.fromisoformat(start), float(factor), float(*origin) if origin else _STARTED)
        if parsed.start.tzinfo is None or not 0 < parsed.factor <= 1_000_000:
            raise ValueError("no time zone, or a factor that is not above 0 and at most a million")
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{VARIABLE}={setting!r} cannot be read: {error}",
            hint=f"{VARIABLE}=2025-11-10T00:00:00Z@480 (start, seconds per second)",
        ) from None
    return parsed
