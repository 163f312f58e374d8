"""Plan requests by windows of days: one newest window that moves, and windows of history. Pure: the plan follows from
the published parts.

    2015-01-01..2024-12-28   a closed window, asked once and then never again
    2024-12-29..             the open window: every day from that one on; asked again at each poll, from a little
                             before the newest value it brought, or whole where the source revises all of it. After
                             a long standstill another one is opened: of several the last is the open one

A window's key states its days, so that the keys alone show which days are missing, whatever history and window length
were set before, and whether the live schedule or a backfill published them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from producers.model import Progress

_KEY = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)?", re.ASCII)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """The window of one request.

    Attributes:
        key: of the answer's part.
        first, last: days to request, both included. An open window's key keeps the day on which it first began.
    """

    key: str
    first: date
    last: date


def plan(
    progress: Progress, *, longest: timedelta, overlap: timedelta | None, newest: Callable[[bytes], date | None]
) -> Iterator[Window]:
    """The windows to request: first the newest one, then the missing days, oldest first.

    History may be long and may fail, so the newest window comes first. The newest window begins some time before the
    newest value last published, not before today: a source or a poller that was down leaves no gap. At first no day is
        in two windows, and no missing day is in the newest one, which would date it as newly published.

    Args:
        longest: whole days that one request may span.
        overlap: how far back the source may still change its values. None means without limit: the newest window begins
            with the first day that was ever requested, so that one answer holds one vintage of every value. Then
            `longest` must span all of that.
        newest: a body → the day of the newest value in it, None if it has none.
    """
    today, span = progress.today, progress.span
    known = [(key, *days) for key in progress.complete if (days := _days(key))]

    def begins_again(key: str) -> date | None:
        """The first day to request again of an open window; None if no value determines it."""
        body = progress.newest_body(key) if overlap is not None else None
        value_on = newest(body) if body else None
        return min(value_on, today) - overlap if value_on and overlap is not None else None

    opened = sorted((first, key) for key, first, last in known if last == date.max)
    covered = [(first, last) for _, first, last in known if last != date.max]
    for (first, key), (following, _) in pairwise(opened):
        covered.append((first, min(begins_again(key) or following, following) - _DAY))
    covered = sorted([*covered, *((first, date.max) for first, _ in opened[-1:])])
    missing = list(_missing(span.first, min(span.last, today), covered))
    history = [cut for first, last in missing for cut in _cut(first, last, longest)]
    if span.last == date.max and not opened:
        if history and history[-1][1] == today:
            begin, end = history.pop()
            yield Window(f"{begin}..", begin, end)
    elif span.last == date.max:
        since, key = opened[-1]
        reach = missing[-1][1] + _DAY if missing else None
        if overlap is None:
            yield Window(key, reach or min(span.first, covered[0][0]), today)
        else:
            # Without a value (all null, or lost from the archive), as many days as one request may span.
            first = begins_again(key) or max(since, today - longest + _DAY)
            cuts = list(_cut(max(first, reach or span.first), today, longest))
            # After a gap that is longer than a request may span a new window is opened, and the days between the former
            # window's values and the new one are history.
            for begin, end in cuts[-1:]:
                yield Window(f"{begin}.." if len(cuts) > 1 else key, begin, end)
            history += [cut for cut in cuts[:-1] if _closed(*cut) not in progress.complete]
    for begin, end in history:
        yield Window(_closed(begin, end), begin, end)


def names_days(key: str) -> bool:
    """Whether a part's key states its days, as that of a window does."""
    return _days(key) is not None


def is_closed(key: str) -> bool:
    """Whether a part's key is that of a closed window: once answered, even without values, it is not requested
    again."""
    days = _days(key)
    return days is not None and days[1] != date.max


def _closed(first: date, last: date) -> str:
    return f"{first}..{last}"


def _days(key: str) -> tuple[date, date] | None:
    """First and last day of a window with this key; None for any other key."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    return date.fromisoformat(match[1]), date.fromisoformat(match[2]) if match[2] else date.max


def _missing(first: date, last: date, covered: Iterable[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    """The ranges of [first, last] that no covered range (in order) contains."""
    for begin, end in covered:
        if begin > last:
            break
        if begin > first:
            yield first, begin - _DAY
        if end >= last:
            return
        first = max(first, end + _DAY)
    if first <= last:
        yield first, last


def _cut(first: date, last: date, longest: timedelta) -> Iterator[tuple[date, date]]:
    """The range in pieces of at most `longest`, oldest first."""
    while first <= last:
        end = min(last, first + longest - _DAY)
        yield first, end
        first = end + _DAY
