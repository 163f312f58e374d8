"""How often a query looks for input: more rarely while what it finds is little and comes all the time.

A micro-batch costs the same for one row as for a thousand: fourteen topics with a row a second each kept more than one
core busy with looking every second. A query that finds nothing costs nearly nothing and keeps its interval, so that
what comes from time to time is read at once.
"""

import time
from dataclasses import dataclass, field

from stream_jobs.running.jobs import Trigger

SLOW_SECONDS = 15.0
"""Between two looks at the slow pace. What a topic gets then reaches silver and gold at their full pace."""

LONGEST_SECONDS = 60.0
MOST_BUSY = 0.25
"""Share of the time. A query that is busier at the slow pace looks half as often: one changed month of an index makes
gold compute every day since. One that is busy for less than a quarter of this looks twice as often again."""

WINDOW_SECONDS = 60.0
"""Over how long a query is judged, at least. A change restarts the query, so changes must be rare; but many rows are
answered with the full pace at once."""

FEW_ROWS_PER_SECOND = 10.0
MARGIN_SECONDS = 0.2
"""Before the next batch may begin, at most: a query is only restarted between two."""


@dataclass(frozen=True)
class Read:
    """What a query has read since it started.

    Attributes:
        batches: those that had rows.
        seconds: that they took together.
    """

    batches: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass
class Pace:
    """The interval of one query.

    Attributes:
        seconds: between two looks, at full pace.
        slow_seconds: the same as long as few rows come all the time; 0 at full pace.
    """

    seconds: float
    slow_seconds: float = field(default=0.0, init=False)
    _since: float = field(init=False)
    _read: Read = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    @property
    def interval(self) -> float:
        """Seconds between two looks at the present pace."""
        return max(self.seconds, self.slow_seconds)

    @property
    def trigger(self) -> Trigger:
        """The present interval, as Spark takes it."""
        return {"processingTime": f"{int(self.interval * 1000)} milliseconds"}

    def begin(self, *, at_full_pace: bool = False) -> None:
        """A query has been started, and has read nothing yet."""
        if at_full_pace:
            self.slow_seconds = 0.0
        self._since, self._read = time.monotonic(), Read()

    def observe(self, read: Read) -> None:
        """Judge the pace by what the query has read since it started."""
        batches, rows = read.batches - self._read.batches, read.rows - self._read.rows
        seconds, busy = time.monotonic() - self._since, read.seconds - self._read.seconds
        window = max(WINDOW_SECONDS, 2 * self.interval)
        are_many = rows > FEW_ROWS_PER_SECOND * window
        if seconds < window and not are_many:
            return
        if are_many or max(batches * self.interval, busy) < seconds / 2:
            self.slow_seconds = 0.0
        elif not self.slow_seconds:
            self.slow_seconds = SLOW_SECONDS
        elif busy > MOST_BUSY * seconds:
            self.slow_seconds = min(2 * self.slow_seconds, LONGEST_SECONDS)
        elif busy < MOST_BUSY / 4 * seconds:
            self.slow_seconds = max(self.slow_seconds / 2, SLOW_SECONDS)
        self._since, self._read = time.monotonic(), read

    def is_between_batches(self) -> bool:
        """Whether a query that is idle will be so for a moment. Spark begins batches at whole multiples of the
        interval since 1970."""
        return self.seconds - time.time() % self.seconds > min(MARGIN_SECONDS, self.seconds / 2)
