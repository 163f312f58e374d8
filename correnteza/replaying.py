"""`up --replay`: the always-on pipeline on recorded publications, one day after the other, without a network.

The sources are a local server with their recorded answers. The clock of every process begins in the afternoon of the
first recorded day and runs so fast that a day takes the requested time, so slots are due as in the calendar.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from correnteza.demo import recorded_at
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import UsageError
from foundation.log import get_logger
from replay.server import DAYS, Replay, serve

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
SHORTEST = timedelta(seconds=10)
LONGEST = timedelta(days=1)


def duration(text: str) -> timedelta:
    """`30s`, `2m` or `1h`. Raises: UsageError."""
    found = re.fullmatch(r"(\d{1,5})([smh])", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta(0)
    if not SHORTEST <= length <= LONGEST:
        raise UsageError(f"{text!r} is not a length of a day", hint="--day-every 2m; from 10s to 24h")
    return length


@contextmanager
def replayed(settings: Settings, day_every: timedelta) -> Iterator[dict[str, str]]:
    """Serve the recorded days, one after the other, during the context; the last one stays.

    Returns: the environment variables for commands in the replay.
    """
    done = threading.Event()
    with serve(day=DAYS[0]) as replay:
        thread = threading.Thread(target=_pass_days, args=(replay, day_every, done), name="replay-days", daemon=True)
        thread.start()
        factor = timedelta(days=1) / day_every
        try:
            yield {
                "CORRENTEZA_HOME": str(settings.home.resolve()),
                "CORRENTEZA_LAKE": str(settings.lake),
                "CORRENTEZA_ARCHIVE": str(settings.archive),
                "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
                clock.VARIABLE: f"{recorded_at(DAYS[0]).isoformat()}@{factor:g}@{time.time()}",
            }
        finally:
            done.set()


def _pass_days(replay: Replay, day_every: timedelta, done: threading.Event) -> None:
    for day in DAYS[1:]:
        if done.wait(day_every.total_seconds()):
            return
        replay.set_day(day)
        get_logger("replay").info("publication_day", day=day, of=DAYS[-1], clock=recorded_at(day).isoformat())
