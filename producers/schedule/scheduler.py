"""The state and the actions of a schedule worker, without Faust: tick, handle a request, report its health."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from foundation import clock, log
from foundation.errors import CorrentezaError, TransientError, UnsafeState
from foundation.failpoints import failpoint
from producers.model import Source
from producers.poll import Outcome
from producers.schedule.attempt import WORKER, Now, RequestStore, attempt
from producers.schedule.measures import UNMEASURED, Measures
from producers.schedule.outcomes import Record
from producers.schedule.plain import Entry, Tail
from producers.schedule.requests import AHEAD, Emitted, PollRequest
from producers.schedule.turns import Turn, no_turn
from schemas.queues import OUTCOMES, REQUEST_PARTITIONS, REQUESTS, RETRY

HEALTH_FORMAT = 1

LARGE_AT_ONCE = 2
"""Zips that one worker reads at the same time; each has its own send buffer and spool. Bodies are not limited."""

LATE_SECONDS = 5.0
"""A tick or a waiting request older than this counts as no progress; a tick comes every second."""

AGAIN_SECONDS = 2.0
"""Seconds until a request is handled again, if the broker did not accept its outcome."""

_STRIDE = 13
"""Faust gives a worker neighbouring partitions. With this stride, which shares no factor with their number, halves and
thirds of the partitions are halves and thirds of the sources."""

PollSource = Callable[[Source, Now, Callable[[], bool]], Outcome]
"""(source, clock, is_stopping) → what the poll did."""


@dataclass(frozen=True)
class _Waiting:
    request: PollRequest
    partition: int
    appended_at: float
    seen_at: float


@dataclass
class Scheduler:
    """One worker's part of the schedule. `tick` is called by one thread, the rest by any.

    Attributes:
        sources: by name; the leader emits their slots, and every worker handles requests for them.
        end: ends the process with an error message; never returns.
        turn: holds a source while a request of it is handled.
    """

    bootstrap: str
    prefix: str
    sources: Mapping[str, Source]
    poll: PollSource
    end: Callable[[CorrentezaError], None]
    stopping: threading.Event = field(default_factory=threading.Event)
    measures: Measures = UNMEASURED
    turn: Turn = no_turn

    def __post_init__(self) -> None:
        self._log = log.get_logger("schedule")
        self._store = RequestStore(self.bootstrap, self.prefix)
        self._tail = Tail(self.bootstrap, [self.prefix + name for name in (REQUESTS, RETRY, OUTCOMES)])
        self._emitted = Emitted()
        self._waiting: list[_Waiting] = []
        self._busy: dict[str, threading.Lock] = {name: threading.Lock() for name in self.sources}
        self._large = threading.BoundedSemaphore(LARGE_AT_ONCE)
        self._in_flight: set[str] = set()
        self._ticked_at: float | None = None
        self._order = sorted(self.sources)

    # Ticking

    def tick(self, is_leader: Callable[[], bool]) -> None:
        """Read what every process has emitted and done; the leader then emits what is due.

        If the broker does not answer, the tick does not count as done; the watchdog notices that.
        """
        try:
            for entry in self._tail.read():
                self._note(entry)
            now = clock.now()
            self._waiting = [each for each in self._waiting if not self._emitted.is_done(each.request, now)]
            leads = is_leader()
            self.measures.leads(leads)
            if leads and not self.stopping.is_set():
                self._emit()
        except TransientError as error:
            self._log.warning("tick_failed", error=str(error))
            return
        self._ticked_at = time.monotonic()

    def _emit(self) -> None:
        calendars = {name: source.calendar for name, source in self.sources.items()}
        requests = self._emitted.plan(calendars, clock.now())
        if requests:
            failpoint("before_emit")
        for request in requests:
            self._store.emit(request, partition_of(self._order.index(request.source)))
        if requests:
            self._log.info(
                "requests_emitted",
                requests=len(requests),
                retries=sum(request.attempt > 1 for request in requests),
                sources=sorted({request.source for request in requests}),
                newest=max(requests, key=lambda request: request.place).slot_id,
            )

    def _note(self, entry: Entry) -> None:
        """Records that are not ours are left to the agent, which writes them to the topic of dead requests."""
        try:
            if entry.topic == self.prefix + OUTCOMES:
                record = Record.from_json(entry.value)
                self._emitted.add_outcome(record.source, record.place)
                return
            request = PollRequest.from_json(entry.value)
        except ValueError:
            return
        if request.source not in self.sources:
            return
        if entry.topic == self.prefix + RETRY:
            self._emitted.add_retry(request)
        else:
            self._emitted.add_request(request)
            if request.scheduled_for <= clock.now() + AHEAD:
                self._waiting.append(_Waiting(request, entry.partition, entry.appended_at, time.monotonic()))

    # Working

    def work(self, value: bytes | None) -> bool:
        """Handle one record of `poll.requests`, in a thread of its own; raises nothing.

        Returns: whether it is done; False if the process is about to stop and another worker must do it.
        """
        try:
            request = PollRequest.from_json(value)
            source = self.sources[request.source]
        except (ValueError, KeyError) as error:
            why = f"{type(error).__name__}: {str(error)[:200]}"
            return self._again_until_done("?", lambda: self._refuse(value, why))
        with self._busy[source.name], self._slot_for(source) as may_go:
            if not may_go:
                return False
            return self._again_until_done(source.name, lambda: self._attempt(source, request))

    def _attempt(self, source: Source, request: PollRequest) -> None:
        with self.turn(source.name, self.stopping):
            record = attempt(source, request, self._store, lambda now: self._measured(source, now))
        if record is not None:
            self.measures.recorded(source.name, record.outcome.value)

    def _measured(self, source: Source, now: Now) -> Outcome:
        outcome = self.poll(source, now, self.stopping.is_set)
        tally = outcome.tally
        self.measures.polled(source.name, outcome.seconds, tally.received, tally.rows)
        return outcome

    def _refuse(self, value: bytes | None, why: str) -> None:
        self._store.refuse("?", value or b"")
        self._log.error("request_refused", error=why, bytes=len(value or b""))

    def _again_until_done(self, name: str, step: Callable[[], None]) -> bool:
        while not self.stopping.is_set():
            try:
                step()
                return True
            except UnsafeState as error:
                self.end(error)
            except TransientError as error:
                self._log.warning("request_not_recorded", source=name, error=str(error))
            except Exception:
                self._log.exception("request_crashed", source=name)
            self.stopping.wait(AGAIN_SECONDS)
        return False

    @contextmanager
    def _slot_for(self, source: Source) -> Iterator[bool]:
        """Yields whether the source may be polled now. Large sources wait for a free place; False when stopping."""
        self._in_flight.add(source.name)
        is_large = source.kind == "zip"
        has_turn = not is_large
        try:
            while not has_turn and not self.stopping.is_set():
                has_turn = self._large.acquire(timeout=0.2)
            yield has_turn and not self.stopping.is_set()
        finally:
            if is_large and has_turn:
                self._large.release()
            self._in_flight.discard(source.name)

    # Telling

    @property
    def is_idle(self) -> bool:
        """Whether no poll is running."""
        return not self._in_flight

    def why_no_progress(self, assigned: Collection[int]) -> str | None:
        """What makes no progress, in words; None if everything does.

        Args:
            assigned: partitions of `poll.requests` that this worker consumes.
        """
        now = time.monotonic()
        if self._ticked_at is None or now - self._ticked_at > LATE_SECONDS:
            return "the queue cannot be read"
        late = [each for each in list(self._waiting) if now - each.seen_at > LATE_SECONDS]
        if late and not assigned:
            return "requests wait, and this worker consumes nothing"
        for each in late:
            if each.partition in assigned and each.request.source not in self._in_flight:
                return f"nobody takes up {each.request.slot_id}"
        return None

    def health(self, *, is_leader: bool, assigned: Collection[int]) -> dict[str, Any]:
        """The document of `/healthz`. Ages are in seconds."""
        trouble = self.why_no_progress(assigned)
        waiting = list(self._waiting)
        return {
            "format": HEALTH_FORMAT,
            "worker": WORKER,
            "is_leader": is_leader,
            "is_progressing": trouble is None,
            "trouble": trouble,
            "last_tick_seconds": None if self._ticked_at is None else round(time.monotonic() - self._ticked_at, 1),
            "requests_waiting": len(waiting),
            "oldest_waiting_seconds": round(time.time() - min(each.appended_at for each in waiting), 1)
            if waiting
            else 0.0,
            "in_flight": sorted(self._in_flight),
            "partitions": len(assigned),
        }


def partition_of(index: int) -> int:
    """The partition for requests of a source, by its place in the alphabet: each source has its own."""
    return index * _STRIDE % REQUEST_PARTITIONS
