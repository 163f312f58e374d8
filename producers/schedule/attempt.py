"""Handle one request: skip it, put it off, or poll. Then record the outcome and the next attempt.

The request is put back first, then the outcome is written. If the worker dies in between, the request is handled again;
it is never lost.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from foundation import clock, log
from foundation.errors import CorrentezaError, FencedError, TransientError, UnsafeState
from producers.model import Source
from producers.poll import Outcome, Services
from producers.schedule import circuit, outcomes, plain
from producers.schedule.outcomes import FAILURES, Outcomes, Record, Result
from producers.schedule.requests import AHEAD, MOST_FAILURES, PollRequest, wait_after
from schemas.queues import DEAD, REQUESTS, RETRY

Now = Callable[[], datetime]

WORKER = f"{socket.gethostname()}:{os.getpid()}"


class RequestStore:
    """The topics of requests and outcomes. Threads may share it."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._sender = plain.Sender(bootstrap)
        self.outcomes = Outcomes(bootstrap, prefix, self._sender)

    def put_back(self, request: PollRequest) -> None:
        """Write a request again, for later. Raises: TransientError."""
        self._sender.send(self._prefix + RETRY, [(request.source, request.to_json())])

    def give_up(self, request: PollRequest) -> None:
        """Write a request to the topic of dead requests. Raises: TransientError."""
        self.refuse(request.source, request.to_json())

    def refuse(self, key: str, value: bytes) -> None:
        """As `give_up`, for bytes that are not a request."""
        self._sender.send(self._prefix + DEAD, [(key, value)])

    def emit(self, request: PollRequest, partition: int) -> None:
        """Write a request for the workers. Raises: TransientError."""
        self._sender.send(self._prefix + REQUESTS, [(request.source, request.to_json())], partition=partition)


def attempt(
    source: Source, request: PollRequest, store: RequestStore, poll: Callable[[Now], Outcome], *, now: Now = clock.now
) -> Record | None:
    """Handle one request. Returns the new outcome; None if the request, or a newer one of its source, was done before,
    or if a wrong clock emitted it.

    A poll that was fenced is recorded too, unless the other poll has recorded its outcome by now. It is not put back,
    because a new producer would fence the other one. The next slot makes a new producer, and covers this slot.

    Args:
        poll: polls the source at the time of the given clock.

    Raises:
        UnsafeState: the process must end; nothing is recorded, and the request is delivered again.
        TransientError: the broker does not accept the records; the request has to be handled again.
    """
    if request.scheduled_for > now() + AHEAD:
        log.get_logger("schedule").error("request_from_the_future", slot_id=request.slot_id)
        store.give_up(request)
        return None
    former = _former(source, store, now())
    if former is not None and outcomes.is_done(request, former):
        log.get_logger("schedule").debug("request_skipped", slot_id=request.slot_id, attempt=request.attempt)
        return None
    # A clock behind the leader's must not poll for a slot before the requested one.
    started = max(now(), request.scheduled_for)
    if former is not None and circuit.state(former.circuit_open_until, started) is circuit.State.OPEN:
        outcome, result, error = None, Result.CIRCUIT_OPEN, None
    else:
        outcome, result, error = _poll(request, poll, lambda: max(now(), request.scheduled_for))
        if result is Result.FENCED and _former(source, store, now()) != former:
            return None
    newest = replace(request, scheduled_for=max(request.scheduled_for, source.calendar.latest(started)))
    record = outcomes.after(
        former,
        newest,
        result,
        worker=WORKER,
        started_at=started,
        ended_at=max(now(), started),
        outcome=outcome,
        error=error,
    )
    _write(store, newest, record, outcomes.covered(record, former, request, source.calendar))
    return record


def for_slot(
    source: Source, services: Services, slot: datetime, poll: Callable[[Now], Outcome], *, now: Now = clock.now
) -> Record | None:
    """Poll for a slot on another scheduler's command, as a worker would: unless the slot, or a newer one, is done.

    If it failed before, this is its next attempt, whoever made the former one. Returns and raises: as `attempt`.
    """
    store = RequestStore(services.bootstrap, services.prefix)
    request = PollRequest(source.name, slot)
    former = _former(source, store, now())
    if former is not None and former.scheduled_for == slot and former.outcome not in outcomes.GOOD:
        request = replace(request, attempt=former.attempt + 1, failures=former.attempt)
    return attempt(source, request, store, poll, now=now)


def recorded(source: Source, services: Services, poll: Callable[[], Outcome], *, now: Now = clock.now) -> Outcome:
    """Poll on a person's command, even if the circuit is open, and record the outcome for the workers.

    If the record cannot be written, that is only a warning, because the data are published. Raises: as `poll`.
    """
    started = now()
    outcome = poll()
    try:
        store = RequestStore(services.bootstrap, services.prefix)
        former = _former(source, store, started)
        request = PollRequest(source.name, source.calendar.latest(started))
        if former is not None and request.place <= former.place:
            request = replace(request, scheduled_for=former.scheduled_for, attempt=former.attempt + 1)
        record = outcomes.after(
            former,
            request,
            outcomes.judged(outcome),
            worker=WORKER,
            started_at=started,
            ended_at=max(now(), started),
            outcome=outcome,
            error=outcome.error,
        )
        _write(store, request, record, outcomes.covered(record, former, request, source.calendar))
    except TransientError as error:
        log.get_logger("schedule").warning("outcome_not_recorded", source=source.name, error=str(error))
    return outcome


def _former(source: Source, store: RequestStore, now: datetime) -> Record | None:
    former = store.outcomes.newest().get(source.name)
    return former if former is None or former.scheduled_for <= now + AHEAD else None


def _poll(
    request: PollRequest, poll: Callable[[Now], Outcome], now: Now
) -> tuple[Outcome | None, Result, CorrentezaError | None]:
    try:
        outcome = poll(now)
    except UnsafeState:
        raise
    except FencedError as error:
        log.get_logger("schedule").warning("poll_fenced", slot_id=request.slot_id, error=str(error))
        return None, Result.FENCED, error
    except Exception as error:  # a bug in one source must not stop the others
        log.get_logger("schedule").exception("poll_crashed", slot_id=request.slot_id)
        return None, Result.FAILED, CorrentezaError(f"{type(error).__name__}: {error}")
    return outcome, outcomes.judged(outcome), outcome.error


def _write(store: RequestStore, request: PollRequest, record: Record, covered: list[Record]) -> None:
    """Write the next request first, and then the outcome."""
    again = _again(request, record)
    if again is not None and again.failures < MOST_FAILURES:
        store.put_back(again)
    elif again is not None:
        store.give_up(again)
        log.get_logger("schedule").error("request_given_up", slot_id=request.slot_id, failures=again.failures)
    store.outcomes.write([*covered, record])


def _again(request: PollRequest, record: Record) -> PollRequest | None:
    """The request to put back after this outcome; None when nothing is left to do. Pure."""
    if record.outcome in outcomes.GOOD or record.outcome is Result.FENCED:
        return None
    failures, due = request.failures, record.ended_at
    if record.outcome in FAILURES:
        failures += 1
        due += wait_after(failures)
    if record.outcome is not Result.STOPPED and record.circuit_open_until is not None:
        due = max(due, record.circuit_open_until)
    return replace(request, attempt=request.attempt + 1, failures=failures, not_before=due)
