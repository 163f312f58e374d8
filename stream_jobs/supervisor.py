"""Keep queries running: restart one that fails, alone and with back-off; stop the driver when that cannot help."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql.streaming.query import StreamingQuery

from foundation.errors import CorrentezaError, TransientError, UnsafeState
from foundation.log import get_logger
from sinks.append import Trigger
from stream_jobs.jobs import Job
from stream_jobs.progress import Progress

WATCH_SECONDS = 0.5
CHECK_SECONDS = 30.0
STOP_SECONDS = 60.0
"""How long a batch may take to end after a stop was asked for; then it is abandoned, and repeated at the next start."""
ERROR_STOP_SECONDS = 3.0
"""The same after an error: what runs a driver must hear of it soon, and a repeated batch costs little."""
END_SECONDS = 2.0
"""How long Spark may take to end a query that was told to; one in the midst of a batch may take for ever."""

MOST_FAILURES = 5
WITHIN_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

_NO_SPACE = "No space left on device"
"""What the operating system says (ENOSPC); Java and Spark pass it on within their own messages."""

log = get_logger("supervisor")


@dataclass
class Attempts:
    """How often one job failed lately, and so how long to wait before the next start."""

    _failures: deque[float] = field(default_factory=deque)
    _away: int = 0

    def pause(self, error: CorrentezaError, now: float) -> float:
        """Seconds to wait after a failure. Raises: the error, when there were too many."""
        if isinstance(error, TransientError) or _NO_SPACE in str(error):
            # A dependency that is away comes back by itself, however long it takes: it counts for nothing else. So does
            # space: somebody frees it, and what a driver that had ended would do then is begin where this one waits.
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


class Supervised:
    """One job and its present query."""

    def __init__(self, job: Job, trigger: Trigger) -> None:
        self.job = job
        self._trigger = trigger
        self._attempts = Attempts()
        self._query: StreamingQuery | None = None
        self._progress: Progress | None = None
        self._not_before = 0.0
        self._error = ""
        self._outdated_since = 0.0
        self.rows = 0
        self.abandoned = False

    def start(self) -> None:
        """Start the query; a failure that may pass is put off to `watch`. Raises: UnsafeState."""
        try:
            # What stopped the last query may have to be removed first, and that may need a registry that is away.
            if self._error and self.job.mend(self._error):
                self._attempts = Attempts()
            self._query = self.job.start(self._trigger)
        except UnsafeState:
            raise
        except (CorrentezaError, Py4JError, StreamingQueryException) as error:
            self._put_off(error if isinstance(error, CorrentezaError) else _failed(self.job, str(error)))
            return
        self._error = ""
        self._progress = Progress(self._query)

    def watch(self) -> bool:
        """Report progress, see whether the query failed, start again when it is time. Returns whether it has ended.

        Raises:
            CorrentezaError: the query cannot go on; the driver must stop.
        """
        if self._query is None:
            if time.monotonic() >= self._not_before:
                self.start()
            return False
        if self.job.outdated:
            # Between two batches, and not waited for here: the other queries are watched meanwhile.
            self._outdated_since = self._outdated_since or time.monotonic()
            if self.idle or time.monotonic() > self._outdated_since + STOP_SECONDS:
                self.end()
                self._outdated_since = 0.0
                self._query, self._not_before = None, 0.0
            return False
        ended = not self._query.isActive  # before the report, so that a query's last batch is never missed
        self._report()
        if not ended:
            return False
        error = self._query.exception()
        self._query = None
        if error is None:
            return True
        if isinstance(self.job.failure, UnsafeState):
            raise self.job.failure
        self._error = str(error)
        try:
            if self.job.mend(self._error):
                self._error = ""
                self._not_before = 0.0
                return False
            self._put_off(self.job.failure or _failed(self.job, self._error))
        except TransientError as away:
            self._put_off(away)
        return False

    @property
    def idle(self) -> bool:
        """Whether no batch is under way."""
        return self._query is None or not self._query.isActive or not self._query.status["isTriggerActive"]

    def end(self) -> None:
        """End the query now, in the midst of a batch if need be. Raises: Py4JError when the JVM is gone."""
        if self._query is None:
            return
        self._report()
        self._query.stop()

    def _report(self) -> None:
        assert self._progress is not None
        before = self._progress.rows
        self._progress.report()
        self.rows += self._progress.rows - before

    def _put_off(self, error: CorrentezaError) -> None:
        try:
            pause = self._attempts.pause(error, time.monotonic())
        except CorrentezaError:
            reason = next(iter(str(error).splitlines()), "no message")
            raise type(error)(
                f"{error} (given up after {MOST_FAILURES + 1} failures)",
                hint=f"correnteza checkpoint inspect {self.job.name}, then run again; it was given up for: {reason}",
            ) from error
        self._not_before = time.monotonic() + pause
        log.warning("query_failed", query=self.job.name, error=str(error), restart_in_seconds=pause)


def keep_running(
    supervised: Sequence[Supervised],
    stop: threading.Event,
    check: Callable[[], None],
    *,
    stop_seconds: float = STOP_SECONDS,
) -> None:
    """Watch until told to stop; then stop every query at a batch boundary.

    Args:
        check: called every half minute beside the queries; it raises when it is not safe to go on.
        stop_seconds: how long batches may take to end once told to stop.

    Raises:
        CorrentezaError: a query cannot go on. All are stopped.
    """
    with _stopped_after(supervised, stop_seconds):
        checking: Future[None] | None = None
        next_check = time.monotonic() + CHECK_SECONDS
        while not stop.wait(WATCH_SECONDS):
            for each in supervised:
                each.watch()
            if checking is not None and checking.done():
                _settle(checking)
                checking = None
            if checking is None and time.monotonic() >= next_check:
                checking = _beside(check)
                next_check = time.monotonic() + CHECK_SECONDS


def drain(jobs: Sequence[Job], *, at_once: int, stop: threading.Event) -> dict[str, int]:
    """Bring every job up to the present and end it; returns input rows per job.

    Args:
        at_once: how many queries run side by side.

    Raises:
        CorrentezaError: a query cannot go on, or a stop was asked for. All are stopped.
    """
    waiting = deque(Supervised(job, {"availableNow": True}) for job in jobs)
    running: list[Supervised] = []
    done: dict[str, int] = {}
    with _stopped_after(running, STOP_SECONDS):
        while waiting or running:
            if stop.is_set():
                raise CorrentezaError("stopped before everything was read", hint="run it again: it goes on from here")
            while waiting and len(running) < at_once:
                running.append(waiting.popleft())
                running[-1].start()
            for each in list(running):
                if each.watch():
                    done[each.job.name] = each.rows
                    running.remove(each)
            time.sleep(0.02)
    return done


@contextmanager
def _stopped_after(supervised: Sequence[Supervised], seconds: float) -> Iterator[None]:
    """Stop all queries at the end; after an error, batches get little time to end."""
    patience = ERROR_STOP_SECONDS
    try:
        yield
        patience = seconds
    except Py4JError as error:
        raise CorrentezaError(f"the JVM is gone: {error}", hint="see the log; then start the driver again") from error
    finally:
        _stop(supervised, time.monotonic() + patience)


def _stop(supervised: Sequence[Supervised], deadline: float) -> None:
    """Each query as soon as its batch has ended; at the deadline, the rest in the midst of theirs."""
    left, ending = list(supervised), list[tuple[Supervised, Future[None]]]()
    while left:
        late = time.monotonic() >= deadline
        for each in list(left):
            try:
                if not (late or each.idle):
                    continue
            except Py4JError as error:
                log.warning("query_not_stopped", query=each.job.name, error=str(error))
            else:
                ending.append((each, _beside(each.end)))
            left.remove(each)
        time.sleep(0.05 if left else 0.0)
    last = time.monotonic() + END_SECONDS
    for each, end in ending:
        try:
            end.result(max(0.0, last - time.monotonic()))
        except TimeoutError:
            each.abandoned = True
            log.warning("batch_abandoned", query=each.job.name)
        except (Py4JError, StreamingQueryException) as error:
            log.warning("query_not_stopped", query=each.job.name, error=str(error))


def _beside(work: Callable[[], None]) -> "Future[None]":
    """Do it in a thread that no end of the process waits for, as it would for a pool's."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _settle(checking: "Future[None]") -> None:
    """Pass on what a check found; one that could not ask is repeated."""
    try:
        checking.result()
    except TransientError as error:
        log.warning("check_postponed", error=str(error))


def _failed(job: Job, error: str) -> CorrentezaError:
    """The first line that says something of a failed query's message."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    text = lines[0] if lines else "no message"
    return CorrentezaError(f"{job.name} failed: {text}", hint="see the log for the whole trace; then run again")
