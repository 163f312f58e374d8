"""The outcome of each poll: one record in `poll.outcomes`, keyed by source, so that the newest one is always kept.

The newest record of a source is also its state: its last slot, whether its circuit is open, when it last had new rows.
A slot that is covered by the poll of a newer slot has a record too (`covered`); it is written before that poll's own.
"""

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from foundation.errors import CorrentezaError, InvalidContent
from foundation.redact import redacted
from producers.calendars import Calendar
from producers.fetch.answers import ThrottledError
from producers.poll import Outcome
from producers.schedule import circuit, plain
from producers.schedule.requests import CATCH_UP, Place, PollRequest
from producers.schedule.slots import slot_id
from producers.session import Tally
from schemas.queues import OUTCOMES

ERROR_CHARACTERS = 500
MOST_NAMED = 20


class Result(StrEnum):
    """How a poll ended. A closed list; `error` has the rest."""

    PUBLISHED = "published"
    NO_NEWS = "no_news"
    FAILED = "failed"
    THROTTLED = "throttled"
    INVALID = "invalid"
    CIRCUIT_OPEN = "circuit_open"
    STOPPED = "stopped"
    FENCED = "fenced"
    COVERED = "covered"


GOOD = frozenset({Result.PUBLISHED, Result.NO_NEWS})
FAILURES = frozenset({Result.FAILED, Result.THROTTLED, Result.INVALID})


@dataclass(frozen=True)
class Record:
    """One poll's outcome, and the state of its source after it. Instants are UTC.

    Attributes:
        scheduled_for: the newest slot that was due when the source was polled.
        rows: published by this poll; rejects, parts and unchanged_parts likewise.
        error: the first error, at most ERROR_CHARACTERS.
        failed: resources that failed, by name, at most MOST_NAMED.
        consecutive_failures: polls in a row in which no resource answered. If some resources answered, the source is
            reachable, and an open circuit would only keep them from being polled.
        last_success_at: when a poll last succeeded, with new rows or without.
        last_news_at, last_news_rows: when rows were last published, and how many.
        worker: host and process id of the worker that polled.
    """

    source: str
    slot_id: str
    scheduled_for: datetime
    outcome: Result
    attempt: int
    started_at: datetime
    ended_at: datetime
    worker: str
    rows: int = 0
    rejects: int = 0
    parts: int = 0
    unchanged_parts: int = 0
    error: str | None = None
    failed: tuple[str, ...] = ()
    consecutive_failures: int = 0
    circuit_open_until: datetime | None = None
    last_success_at: datetime | None = None
    last_news_at: datetime | None = None
    last_news_rows: int | None = None

    @property
    def place(self) -> Place:
        """The position of the request in the order of its source."""
        return self.scheduled_for, self.attempt

    def to_json(self) -> bytes:
        """The form in `poll.outcomes`."""
        return json.dumps(asdict(self), default=datetime.isoformat).encode()

    @classmethod
    def from_json(cls, value: bytes | None) -> Self:
        """Fields that a newer release added are left out. Raises: ValueError for anything that is not a record."""
        try:
            found = json.loads(value or b"")
            known = {each.name: found[each.name] for each in fields(cls) if each.name in found}
            for name in known.keys() & _INSTANTS:
                known[name] = known[name] and datetime.fromisoformat(known[name]).astimezone(UTC)
            return cls(**known | {"outcome": Result(known["outcome"]), "failed": tuple(known.get("failed", ()))})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"no outcome: {type(error).__name__}: {str(error)[:200]}") from None


_INSTANTS = {each.name for each in fields(Record) if each.type in (datetime, datetime | None)}


def judged(outcome: Outcome) -> Result:
    """The name of a poll's outcome. A poll that published rows and then failed is not a success."""
    if outcome.error is not None:
        if isinstance(outcome.error, ThrottledError):
            return Result.THROTTLED
        return Result.INVALID if isinstance(outcome.error, InvalidContent) else Result.FAILED
    if outcome.is_stopped:
        return Result.STOPPED
    return Result.PUBLISHED if outcome.tally.rows or outcome.tally.rejects else Result.NO_NEWS


def is_done(request: PollRequest, former: Record) -> bool:
    """Whether a request is done: the source's newest record belongs to it or to a newer one. Pure.

    If a poll was fenced, it is only known that another one began: if its request comes again, it is polled.
    """
    if request.place == former.place:
        return former.outcome is not Result.FENCED
    return request.place < former.place


def after(
    former: Record | None,
    request: PollRequest,
    result: Result,
    *,
    worker: str,
    started_at: datetime,
    ended_at: datetime,
    outcome: Outcome | None = None,
    error: CorrentezaError | None = None,
) -> Record:
    """The record after a poll of `request`, or after leaving it out. Pure.

    Args:
        former: the source's newest record.
        outcome: result of the poll; None if the source was not polled.
    """
    tally = outcome.tally if outcome else Tally()
    is_away = result in FAILURES and not tally.has_answered
    failures = (former.consecutive_failures if former else 0) + is_away
    if result in GOOD or tally.has_answered:
        failures = 0
    until = former.circuit_open_until if former else None
    if is_away:
        asked_for = error.until if isinstance(error, ThrottledError) else None
        until = circuit.open_until(failures, ended_at, asked_for)
    elif failures == 0:
        until = None
    record = Record(
        source=request.source,
        slot_id=request.slot_id,
        scheduled_for=request.scheduled_for,
        outcome=result,
        attempt=request.attempt,
        started_at=started_at,
        ended_at=ended_at,
        worker=worker,
        rows=tally.rows,
        rejects=tally.rejects,
        parts=tally.parts,
        unchanged_parts=tally.unchanged_parts,
        error=redacted(str(error))[:ERROR_CHARACTERS] if error else None,
        failed=tuple(tally.failed[:MOST_NAMED]),
        consecutive_failures=failures,
        circuit_open_until=until,
        last_success_at=former.last_success_at if former else None,
        last_news_at=former.last_news_at if former else None,
        last_news_rows=former.last_news_rows if former else None,
    )
    if result in GOOD:
        record = replace(record, last_success_at=ended_at)
    if tally.rows:
        record = replace(record, last_news_at=ended_at, last_news_rows=tally.rows)
    return record


def covered(record: Record, former: Record | None, asked: PollRequest, calendar: Calendar) -> list[Record]:
    """The records of the older slots that this poll covers: those since the source's former record, or since the
    requested slot; and the former slot itself if its poll was fenced. Oldest first, and not older than requests are
    emitted. Pure.
    """
    since = former.scheduled_for if former else asked.scheduled_for - timedelta(seconds=1)
    if former and former.outcome is Result.FENCED:
        since -= timedelta(seconds=1)
    slots = calendar.between(max(since, record.scheduled_for - CATCH_UP), record.scheduled_for - timedelta(seconds=1))
    nothing = replace(
        record, outcome=Result.COVERED, attempt=1, error=None, failed=(), rows=0, rejects=0, parts=0, unchanged_parts=0
    )
    return [replace(nothing, slot_id=slot_id(record.source, slot), scheduled_for=slot) for slot in slots]


class Outcomes:
    """The newest record of each source, and where new ones are written."""

    def __init__(self, bootstrap: str, prefix: str, sender: plain.Sender | None = None) -> None:
        self._topic = prefix + OUTCOMES
        self._tail = plain.Tail(bootstrap, [self._topic])
        self._sender = sender or plain.Sender(bootstrap)
        self._newest: dict[str, Record] = {}
        self._lock = threading.Lock()

    def newest(self) -> dict[str, Record]:
        """By source, as it is now. Raises: TransientError."""
        with self._lock:
            for entry in self._tail.read():
                try:
                    record = Record.from_json(entry.value)
                except ValueError:
                    continue  # not written by us, and no slot depends on it
                self._newest[record.source] = record
            return dict(self._newest)

    def write(self, records: Iterable[Record]) -> None:
        """Append records, in order. Raises: TransientError."""
        self._sender.send(self._topic, [(record.source, record.to_json()) for record in records])
