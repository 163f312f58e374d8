"""Which members of a zip of ANATEL's accesses are read: every month from exactly one of them.

A zip holds the same accesses more than once: in a long and a wide (`_Colunas`) layout, and before 2019 divided by
technology and by payment mode. Reading two members of one month would double its accesses.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath

from foundation.errors import InvalidContent
from producers.model import Span
from producers.scope import Days, Scope


@dataclass(frozen=True)
class Period:
    """The period in a member's name.

    Attributes:
        key: names the period, not the member: the part keeps its key when the file is renamed or laid out otherwise.
        first, last: months, counted as year × 12 + month − 1.
        is_wide: it has one column per month.
        is_preferred: whether it is the one to read of two divisions of the same accesses.
    """

    key: str
    first: int
    last: int
    is_wide: bool
    is_preferred: bool = True

    @property
    def last_day(self) -> date:
        """The last day of the last month."""
        year, month = divmod(self.last + 1, 12)
        return date(year, month + 1, 1) - timedelta(days=1)

    @property
    def days(self) -> Days:
        """The first days of its first and last month: a record belongs to the first day of its month."""
        year, month = divmod(self.last, 12)
        return date(self.first // 12, self.first % 12 + 1, 1), date(year, month + 1, 1)

    @property
    def worth(self) -> tuple[int, int, int]:
        """The value by which sets of members are compared: months, then months in wide members, then preferred members.

        Wide members are a tenth of the bytes. The number of months comes first, so that no month is lost.
        """
        months = self.last - self.first + 1
        return months, months * self.is_wide, months * self.is_preferred


def choose(names: Sequence[str], period_of: Callable[[str], Period | None], span: Span) -> dict[str, str]:
    """Part key → member, for the periods that the span owns.

    The choice is made over all members, before the span is applied, so that the schedule and a backfill choose the same
    members.

    Raises: InvalidContent when no member has a known name, for example because ANATEL changed the names.
    """
    found = [(period, name) for name in sorted(names) if (period := period_of(PurePosixPath(name).name))]
    if not found:
        raise InvalidContent(f"none of {len(names)} members has a name for a period of accesses: {names[:3]}")
    return {period.key: name for period, name in _best(found) if span.owns(period.last_day)}


def scope_of(dataset: str, period: Period | None) -> Scope | None:
    """A member states every access of its months."""
    return Scope((dataset,), (period.days,)) if period else None


def months(text: str) -> tuple[int, int] | None:
    """First and last month of `2026` or `202601`; None if there is no such month."""
    year, month = int(text[:4]), int(text[4:] or 1)
    if not (date.min.year < year < date.max.year and 1 <= month <= 12):
        return None
    first = year * 12 + month - 1
    return first, first if text[4:] else first + 11


Named = tuple[Period, str]


def _best(found: Iterable[Named]) -> list[Named]:
    """The best set of members without a common month (weighted interval scheduling)."""
    by_end = sorted(found, key=lambda named: named[0].last)
    ends = [period.last for period, _ in by_end]
    # For the first n members: the value of the best set, and the place of its last member.
    best: list[tuple[tuple[int, int, int], int | None]] = [((0, 0, 0), None)]
    before = []
    for number, (period, _) in enumerate(by_end):
        before.append(bisect_right(ends, period.first - 1, hi=number))
        with_it = _sum(best[before[number]][0], period.worth)
        best.append((with_it, number) if with_it > best[number][0] else best[number])
    chosen: list[Named] = []
    last = best[-1][1]
    while last is not None:
        chosen.append(by_end[last])
        last = best[before[last]][1]
    return chosen[::-1]


def _sum(left: tuple[int, int, int], right: tuple[int, int, int]) -> tuple[int, int, int]:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]
