"""The periods that a source should have published by now and has not, by its publication calendar: pure functions.

A period counts as missing once it is over and its usual lag and some days of grace have passed. So a monthly series
misses nothing on the second day of a month.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

Step = Literal["day", "business_day", "month", "quarter", "year"]

GRACE = {
    "day": timedelta(days=2),
    # Longer than the longest run of holidays: days without a bulletin do not count once a later one has come.
    "business_day": timedelta(days=5),
    "month": timedelta(days=7),
    "quarter": timedelta(days=14),
    "year": timedelta(days=45),
}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Expected:
    """One sequence of periods.

    Attributes:
        source: who publishes it.
        table: `silver.<dataset>`, whose `column` holds the period: a day, an instant, or a code such as 202510.
        lag: usual time from a period's end to its publication.
        subject: (column, value) that selects the sequence in the table.
    """

    source: str
    table: str
    column: str
    step: Step
    lag: timedelta
    subject: tuple[str, int] | None = None


def missing(expected: Expected, newest: date | datetime | str, now: datetime) -> int:
    """Periods that should have come by now, after the newest one that has. Raises: ValueError if `newest` is no
    period."""
    due = (now - expected.lag - GRACE[expected.step]).astimezone(UTC)
    have = day_of(newest, expected.step)
    if expected.step in _MONTHS:
        months = _MONTHS[expected.step]
        return max(0, _month(due.date()) // months - 1 - _month(have) // months)
    days = [have + timedelta(days=each) for each in range(1, max(0, (due.date() - have).days))]
    return sum(day.weekday() < 5 for day in days) if expected.step == "business_day" else len(days)


def by_source(
    all_expected: Iterable[Expected], newest: dict[Expected, date | datetime | str], now: datetime
) -> dict[str, int]:
    """Source → missing periods of all its sequences that have begun."""
    counts: dict[str, int] = {}
    for each in all_expected:
        if each in newest:
            counts[each.source] = counts.get(each.source, 0) + missing(each, newest[each], now)
    return counts


def day_of(period: date | datetime | str, step: Step) -> date:
    """A day within the period. Raises: ValueError."""
    if isinstance(period, str):
        year, part = int(period[:4]), int(period[4:] or 1)
        return date(year, part * 3 if step == "quarter" else part, 1)
    return period.astimezone(UTC).date() if isinstance(period, datetime) else period


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1
