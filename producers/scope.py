"""What one edition of a part states in full: its *scope*. A key of the scope that it no longer holds is withdrawn.

A scope is some ranges of days, of some datasets, and if days are not enough, the value of a key column (such as a
station's code). Each record belongs to one day: the month of an access row, the UTC date of a station-hour;
`Source.days` defines it. A snapshot states all days.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Days: TypeAlias = tuple[date, date]
"""First and last day of a range, both included."""

EVERY_DAY: Days = (date.min, date.max)
_DAY = timedelta(days=1)
_LAST_BUT_ONE = date.max - _DAY


@dataclass(frozen=True)
class Scope:
    """What an edition states in full.

    Attributes:
        datasets: of these datasets.
        days: ranges in order, without a common day.
        where: key column, and its value in every key of the scope.
    """

    datasets: tuple[str, ...]
    days: tuple[Days, ...] = (EVERY_DAY,)
    where: tuple[tuple[str, str | int], ...] = ()

    @property
    def text(self) -> str:
        """The form in manifests and cursors: JSON."""
        days = [[str(first), str(last)] for first, last in self.days]
        return json.dumps({"datasets": self.datasets, "where": dict(self.where), "days": days}, ensure_ascii=False)

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(text: str) -> "Scope":
        """The scope of a text."""
        found = json.loads(text)
        days = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in found["days"])
        return Scope(tuple(found["datasets"]), days, tuple(found["where"].items()))

    def common(self, other: "Scope") -> "Scope | None":
        """What both scopes state; None if that is nothing."""
        datasets = tuple(name for name in self.datasets if name in other.datasets)
        pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in self.days for b in other.days)
        days = tuple(sorted((first, last) for first, last in pairs if first <= last))
        return Scope(datasets, days, self.where) if datasets and days and self.where == other.where else None

    def without(self, other: "Scope") -> "Scope | None":
        """What the other scope does not state; None if that is nothing."""
        if self.where != other.where or not set(self.datasets) <= set(other.datasets):
            return self
        left = list(self.days)
        for begin, end in other.days:
            left = [rest for stretch in left for rest in _outside(stretch, begin, end)]
        days = tuple(sorted(left))
        if days == self.days:
            return self
        return Scope(self.datasets, days, self.where) if days else None

    def joined(self, other: "Scope") -> "Scope":
        """The days of both scopes, which have the same keys; neighbouring ranges are merged."""
        merged: list[Days] = []
        for first, last in sorted((*self.days, *other.days)):
            if merged and first <= min(merged[-1][1], _LAST_BUT_ONE) + _DAY:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return Scope(self.datasets, tuple(merged), self.where)

    def holds(self, days: pa.Array) -> pa.Array:
        """Which records belong to the scope's days; a record without a day belongs to no scope."""
        if EVERY_DAY in self.days:
            return pc.is_valid(days)
        found = pa.repeat(pa.scalar(False), len(days))
        for first, last in self.days:
            after = pc.greater_equal(days, pa.scalar(first, pa.date32()))
            until = pc.less_equal(days, pa.scalar(last, pa.date32()))
            found = pc.or_(found, pc.fill_null(pc.and_(after, until), False))
        return found


def _outside(stretch: Days, begin: date, end: date) -> Sequence[Days]:
    """The parts of a range of days before `begin` or after `end`."""
    first, last = stretch
    if end < first or last < begin:
        return [stretch]
    before = [(first, begin - _DAY)] if first < begin else []
    return [*before, (end + _DAY, last)] if end < last else before


DaysOf: TypeAlias = Callable[[pa.RecordBatch], pa.Array]
"""Records → the day that each belongs to, as date32."""


def day_of(column: str) -> DaysOf:
    """The day of a column of dates, or the UTC day of a column of instants."""
    return lambda records: records.column(column).cast(pa.timestamp("us")).cast(pa.date32(), safe=False)


def any_day(records: pa.RecordBatch) -> pa.Array:
    """The scope of a snapshot, whose rows belong to no day."""
    return pa.repeat(pa.scalar(date.min, pa.date32()), records.num_rows)


def is_known(days: pa.Array, former: Iterable[Scope]) -> pa.Array:
    """Which records belong to days that an earlier edition stated."""
    found = pa.repeat(pa.scalar(False), len(days))
    for scope in former:
        found = pc.or_(found, scope.holds(days))
    return found
