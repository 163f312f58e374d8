"""One query under supervision: start it, watch it, restart it with back-off, suspend it, or stop it for good."""

import time
from collections.abc import Callable
from concurrent.futures import Future

from deltalake.exceptions import DeltaError
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from foundation.errors import CorrentezaError, TransientError, UnsafeState
from foundation.log import get_logger
from sinks.locks import TableIsTakenError
from storage import health
from stream_jobs.running import attempts
from stream_jobs.running.attempts import Attempts
from stream_jobs.running.background import in_background
from stream_jobs.running.jobs import Job, Trigger
from stream_jobs.running.measures import UNMEASURED, Measures
from stream_jobs.running.pace import Pace
from stream_jobs.running.progress import Progress
from stream_jobs.running.stalls import STALL_SECONDS, Stall
from stream_jobs.running.stop_notes import State, WriteNote
from stream_jobs.running.suspension import Suspension

STOP_SECONDS = 60.0
"""How long a batch may take to end after a stop was asked for; then it is abandoned, and repeated at the next start."""

PASSING = (OSError, DeltaError, Py4JError, PySparkException)
"""Errors at a start that concern one job only and may be gone at the next attempt: of a file, a table, Spark."""

log = get_logger("supervisor")


class Supervised:
    """One job and its present query."""

    def __init__(
        self,
        job: Job,
        trigger: Trigger | Pace,
        note: WriteNote = lambda query, state, error: None,
        suspension: Suspension | None = None,
        measures: Measures = UNMEASURED,
    ) -> None:
        """Args:
        trigger: of the query; a pace changes its interval with what comes.
        note: called when the query stops for good.
        suspension: None keeps the query running though nothing comes.
        """
        self._measures = measures
        self.job = job
        self.stopped_by: CorrentezaError | None = None
        self._note = note
        self._suspension = suspension
        self._is_suspended = False
        self._pace = trigger if isinstance(trigger, Pace) else None
        self._trigger = trigger.trigger if isinstance(trigger, Pace) else trigger
        self._attempts = Attempts()
        self._query: StreamingQuery | None = None
        self._progress: Progress | None = None
        self._stall: Stall | None = None
        self._ending: Future[None] | None = None
        self._not_before = 0.0
        self._error = ""
        self._has_failed = False
        self._outdated_since = 0.0
        self.rows = 0
        self.abandoned = False

    def begin(self, has_unread: Callable[[], bool]) -> None:
        """Start the query, or suspend it at once if it would find nothing.

        Args: has_unread: as of the job.

        Raises:
            TableIsTakenError: another driver writes its table.
        """
        try:
            if self._suspension is not None and self._suspension.may_begin(has_unread):
                self.job.prepare()
                self._is_suspended = True
                self._measures.looked(self.job.name)
                return
        except TableIsTakenError:
            raise
        except (CorrentezaError, *PASSING) as error:
            log.info("query_starts_without_a_look", query=self.job.name, error=str(error))
        self.start()

    def start(self) -> None:
        """Start the query. After a failure that may pass, `watch` tries again; a query that a guard refuses is stopped.

        Raises:
            TableIsTakenError: another driver writes its table.
        """
        try:
            # The cause of the last failure may have to be removed first, and that may need a registry that is not
            # reachable.
            if self._error and self.job.repair(self._error):
                self._attempts = Attempts()
            if self._pace is not None and self._trigger != self._pace.trigger:
                self._trigger = self._pace.trigger
                log.info("query_paced", query=self.job.name, interval_seconds=self._pace.interval)
            self._query = self.job.start(self._trigger)
        except TableIsTakenError:
            raise
        except UnsafeState as refused:
            self._mark_stopped("stopped", refused)
            return
        except (CorrentezaError, *PASSING) as error:
            self._put_off(error if isinstance(error, CorrentezaError) else _failed(self.job, str(error)))
            return
        self._error = ""
        if self._has_failed:
            self._has_failed = False
            self._measures.restarted(self.job.name)
        if self._pace is not None:
            self._pace.begin()
        self._progress = Progress(self._query, self._measures)
        self._measures.started(self.job.name)
        self._stall = Stall(self._query)

    def watch(self) -> bool:
        """Report progress, see whether the query failed, start again when it is time.

        Returns: whether it has ended: nothing is left to do, or it is stopped for good.

        Raises:
            CorrentezaError: the query cannot go on; the driver must stop.
        """
        if self._ending is not None:
            self._settle_once_ended(self._ending)
            return False
        if self.stopped_by is not None:
            return True
        if self._query is None:
            self._start_when_due()
            return False
        if self.job.outdated:
            self._end_outdated()
            return False
        ended = not self._query.isActive  # before the report, so that a query's last batch is never missed
        self._report()
        if not ended:
            self._end_if_stalled(self._query)
            self._suspend_if_due()
            self._change_pace_if_due()
            return False
        error = self._query.exception()
        self._query = None
        return self._has_finished(None if error is None else str(error))

    def stop_for_good(self, error: UnsafeState) -> None:
        """Stop the query, even during a batch, and do not restart it: going on is not safe."""
        if isinstance(self.stopped_by, UnsafeState):
            return
        self._mark_stopped("stopped", error)
        if self._query is not None and self._ending is None:
            self._ending = in_background(self._query.stop)

    @property
    def is_suspended(self) -> bool:
        """Whether it was ended and waits for one of its inputs to change."""
        return self._is_suspended

    @property
    def idle(self) -> bool:
        """Whether no batch is under way."""
        return self._query is None or not self._query.isActive or not self._query.status["isTriggerActive"]

    def end(self) -> None:
        """End the query now, in the middle of a batch if need be. Raises: Py4JError when the JVM is gone."""
        if self._query is None:
            return
        self._report()
        self._query.stop()

    def _has_finished(self, error: str | None) -> bool:
        """Whether a query that has ended is finished; if not, it is started again, now or later."""
        if isinstance(self.job.failure, UnsafeState):
            self._mark_stopped("stopped", self.job.failure)
            return True
        if error is None:
            return True
        if self.job.ended_as_asked:
            self._not_before = 0.0
            return False
        self._error, self._has_failed = error, True
        try:
            if self.job.repair(self._error):
                self._error = ""
                self._not_before = 0.0
                return False
            self._put_off(self.job.failure or _failed(self.job, self._error))
        except TransientError as away:
            self._put_off(away)
        except OSError as trouble:
            self._put_off(_failed(self.job, str(trouble)))
        return False

    def _end_outdated(self) -> None:
        """End the query between two batches. This does not wait, so that the other queries are watched meanwhile."""
        self._outdated_since = self._outdated_since or time.monotonic()
        self.job.end_before_next_batch()
        if self.idle or time.monotonic() > self._outdated_since + STOP_SECONDS:
            self.end()
            self._outdated_since = 0.0
            self._query, self._not_before = None, 0.0

    def _suspend_if_due(self) -> None:
        assert self._progress is not None
        if self._suspension is None or self._ending is not None:
            return
        if self._suspension.is_due(self._progress.read.rows, self._progress.looked_at) and self.idle:
            self.end()
            self._query, self._is_suspended = None, True
            if self._pace is not None:
                self._pace.begin(at_full_pace=True)  # what wakes it is read at once
            log.info("query_rests", query=self.job.name)

    def _change_pace_if_due(self) -> None:
        """End a query whose interval should be another, between two batches; `watch` starts it again.

        Where one batch follows the other without a pause, the query ends itself when the next one begins.
        """
        if self._pace is None or self._query is None or self._ending is not None:
            return
        assert self._progress is not None
        self._pace.observe(self._progress.read)
        if self._pace.trigger == self._trigger:
            return
        if not self.idle:
            self.job.end_before_next_batch()
        elif self._pace.is_between_batches():
            self.end()
            self._query, self._not_before = None, 0.0

    def _start_when_due(self) -> None:
        if self._is_suspended:
            assert self._suspension is not None
            self._is_suspended = not (self._suspension.is_over() or self.job.outdated)
            self._measures.looked(self.job.name)
        if not self._is_suspended and time.monotonic() >= self._not_before:
            self.start()

    def _end_if_stalled(self, query: StreamingQuery) -> None:
        """Stop a query whose batch makes no progress; `watch` starts it again once it has ended."""
        assert self._stall is not None
        if not self._stall.is_reached():
            return
        stalled = CorrentezaError(
            f"{self.job.name}: its batch has made no progress for {STALL_SECONDS:.0f} s, and is stopped",
            hint="it is restarted once it has ended; if it does not end, restart the driver",
        )
        self._mark_stopped("stalled", stalled)
        self._ending = in_background(query.stop)

    def _settle_once_ended(self, ending: "Future[None]") -> None:
        """Start a stalled query again; one that was stopped for good stays so.

        This does not wait, because the query may never end. Until Spark says that it has ended, it may still write.
        """
        assert self._query is not None
        assert self.stopped_by is not None
        if not ending.done():
            return
        error = ending.exception()
        if isinstance(error, Py4JNetworkError):
            raise error
        if error is not None:
            self._ending = in_background(self._query.stop)  # Spark's own time limit for a stop has passed
            return
        self._ending = self._query = None
        if isinstance(self.stopped_by, UnsafeState):
            return
        stalled, self.stopped_by = self.stopped_by, None
        if isinstance(self.job.failure, UnsafeState):
            self._mark_stopped("stopped", self.job.failure)
        else:
            self._put_off(stalled)

    def _mark_stopped(self, state: State, error: CorrentezaError) -> None:
        """Mark the query as stopped, log it, and write the note that `status` reads."""
        self.stopped_by = error
        report_stopped(self._note, self.job.name, state, error)

    def _report(self) -> None:
        assert self._progress is not None
        before, looked_at = self._progress.read.rows, self._progress.looked_at
        self._progress.report()
        if self._progress.looked_at != looked_at:
            self._measures.looked(self.job.name)
        self.rows += self._progress.read.rows - before

    def _put_off(self, error: CorrentezaError) -> None:
        try:
            pause = self._attempts.pause(error, time.monotonic())
        except CorrentezaError:
            reason = next(iter(str(error).splitlines()), "no message")
            raise type(error)(
                f"{error} (given up after {attempts.MOST_FAILURES + 1} failures)",
                hint=f"correnteza checkpoint inspect {self.job.name}, then run again; the reason: {reason}",
            ) from error
        self._not_before, self._has_failed = time.monotonic() + pause, True
        log.warning("query_failed", query=self.job.name, error=str(error), restart_in_seconds=pause)


def report_stopped(note: WriteNote, query: str, state: State, error: CorrentezaError) -> None:
    """Log that a query has stopped for good, and write the note that `status` reads."""
    log.error("query_stands_still", query=query, state=state, error=str(error), hint=error.hint)
    try:
        note(query, state, error)
    except (OSError, CorrentezaError) as trouble:
        log.warning("standing_not_noted", query=query, error=str(trouble))


def _failed(job: Job, error: str) -> CorrentezaError:
    """An error with the first line of a failed query's message that is not blank; the object store's own error if it is
    away.
    """
    if (away := health.of_store()) is not None:
        return away
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    text = lines[0] if lines else "no message"
    return CorrentezaError(f"{job.name} failed: {text}", hint="see the log for the whole trace; then run again")
