"""Which polls are due: slots since the last one emitted, and failed ones whose waiting time is over. Pure.

A request is identified by its slot and by the number of earlier attempts. These only grow for a source, so a process
that emits or handles a request twice can see that it is old.
"""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Self

from producers.calendars import Calendar
from producers.schedule import slots

CATCH_UP = timedelta(days=7)
"""Slots older than this are not emitted any more. One poll covers all older slots, so nothing is lost."""

CATCH_UP_PER_TICK = 50
"""Requests that one tick emits for one source. Three days of slots every ten minutes take nine ticks."""

AHEAD = timedelta(days=2)
"""Requests for slots further in the future were emitted by a wrong clock, and are ignored."""

MOST_FAILURES = 6
"""Failed polls in a row after which a request is given up; the source's next slot tries again."""

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=2), timedelta(hours=1)
"""Waiting time after the first failure; it doubles with each further one, up to the longest."""

Place = tuple[datetime, int]
"""(scheduled_for, attempt): how far a source's requests have come."""


@dataclass(frozen=True)
class PollRequest:
    """A poll that is due.

    Attributes:
        scheduled_for: the slot, UTC.
        attempt: 1 for the slot itself; one more each time it is put back.
        failures: failed polls in a row before this one.
        not_before: for a request that was put back: when it is due again, UTC.
    """

    source: str
    scheduled_for: datetime
    attempt: int = 1
    failures: int = 0
    not_before: datetime | None = None

    @property
    def slot_id(self) -> str:
        """The slot's name."""
        return slots.slot_id(self.source, self.scheduled_for)

    @property
    def place(self) -> Place:
        """Of two requests of a source, the one with the greater place is newer."""
        return self.scheduled_for, self.attempt

    def to_json(self) -> bytes:
        """The form in `poll.requests`, `poll.retry` and `poll.dead`."""
        record = {
            "source": self.source,
            "slot_id": self.slot_id,
            "scheduled_for": self.scheduled_for.isoformat(),
            "attempt": self.attempt,
            "failures": self.failures,
            "not_before": self.not_before and self.not_before.isoformat(),
        }
        return json.dumps(record).encode()

    @classmethod
    def from_json(cls, value: bytes | None) -> Self:
        """Raises: ValueError for anything that `to_json` did not write; its message has a bounded length."""
        try:
            record = json.loads(value or b"")
            return cls(
                source=str(record["source"]),
                scheduled_for=_instant(record["scheduled_for"]),
                attempt=int(record["attempt"]),
                failures=int(record["failures"]),
                not_before=_instant(record["not_before"]) if record["not_before"] else None,
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"no poll request: {type(error).__name__}: {str(error)[:200]}") from None


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return found.astimezone(UTC)


def wait_after(failures: int) -> timedelta:
    """How long a request waits after so many failures in a row (1 for the first): 2, 4, 8 ... 60 minutes."""
    return min(FIRST_WAIT * (1 << min(failures - 1, 10)), LONGEST_WAIT)


@dataclass
class Emitted:
    """The requests that were emitted, put back and done. Filled only from Kafka, so that every process agrees.

    Attributes:
        asked: source → places of its requests in `poll.requests`, the last ones.
        put_back: source → its newest request in `poll.retry`.
        done: source → places that its outcomes have come to, the last ones.
    """

    asked: dict[str, deque[Place]] = field(default_factory=dict)
    put_back: dict[str, PollRequest] = field(default_factory=dict)
    done: dict[str, deque[Place]] = field(default_factory=dict)

    def add_request(self, request: PollRequest) -> None:
        """One record of `poll.requests`."""
        self.asked.setdefault(request.source, deque(maxlen=_REMEMBERED)).append(request.place)

    def add_retry(self, request: PollRequest) -> None:
        """One record of `poll.retry`."""
        self.put_back[request.source] = request

    def add_outcome(self, source: str, place: Place) -> None:
        """One record of `poll.outcomes`."""
        self.done.setdefault(source, deque(maxlen=_REMEMBERED)).append(place)

    def is_done(self, request: PollRequest, now: datetime) -> bool:
        """Whether this request, or a newer one of its source, has an outcome."""
        return request.place <= _newest(self.done.get(request.source), now)

    def plan(self, calendars: Mapping[str, Calendar], now: datetime) -> list[PollRequest]:
        """The requests to emit now, oldest first for each source.

        A source without any record starts at its latest slot.
        """
        planned: list[PollRequest] = []
        for source, calendar in calendars.items():
            newest = max(_newest(self.asked.get(source), now), _newest(self.done.get(source), now))
            last = None if newest == _NOTHING else newest[0]
            planned += [PollRequest(source, slot) for slot in due(calendar, last, now)]
            waited = self.put_back.get(source)
            # A request that is older than the last emitted or done one is covered by it.
            if waited is not None and newest < waited.place and _is_due(waited, now):
                planned.append(waited)
        return planned


_REMEMBERED = 2000
"""Places kept per source: a week of slots ten minutes apart, and as many repetitions."""

_NOTHING: Place = (datetime.min.replace(tzinfo=UTC), 0)


def _newest(places: Iterable[Place] | None, now: datetime) -> Place:
    return max((place for place in places or () if place[0] <= now + AHEAD), default=_NOTHING)


def due(calendar: Calendar, last: datetime | None, now: datetime) -> list[datetime]:
    """The slots in (last, now], oldest first, at most CATCH_UP_PER_TICK; the latest slot if there was none before."""
    if last is None:
        return [calendar.latest(now)]
    # After a clock was set back `last` is in the future: nothing is due, and nothing is emitted twice.
    return list(islice(calendar.between(max(last, now - CATCH_UP), now), CATCH_UP_PER_TICK))


def _is_due(request: PollRequest, now: datetime) -> bool:
    return request.scheduled_for <= now + AHEAD and (request.not_before is None or request.not_before <= now)
