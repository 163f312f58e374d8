"""What `apply_changes` must do, in plain Python: silver as one pass over all rows of bronze gives it.

It has no batches on purpose.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

Key = tuple[str | None, int]


class Change(NamedTuple):
    """One record, or one withdrawal, whose offsets are of another topic. Key fields may be None; time is in days."""

    key: Key
    known_from: int
    value: float | None
    offset: int
    is_withdrawn: bool = False

    @property
    def is_valid(self) -> bool:
        """The one expectation of these tests: values are not negative, and a missing one breaks nothing."""
        return self.value is None or self.value >= 0

    @property
    def place(self) -> int:
        """Names the row: the offset of a record, and of a withdrawal a number below zero."""
        return -1 - self.offset if self.is_withdrawn else self.offset


class Model:
    """Both silver tables and the quarantine (by Kafka offset) that follow from some rows, in whatever order."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.revisions: list[Change] = []
        self.current: list[Change] = []
        self.quarantined: dict[int, str] = {}
        by_key: dict[Key, list[Change]] = defaultdict(list)
        for change in changes:
            if change.is_valid:
                by_key[change.key].append(change)
            else:
                self.quarantined[change.offset] = "value_not_negative"
        for rows in by_key.values():
            self._fold(sorted(rows, key=lambda row: (row.known_from, row.is_withdrawn, row.offset)))

    def _fold(self, rows: list[Change]) -> None:
        newest: Change | None = None  # the newest version; None too where there is no row
        standing: Change | None = None
        for row in rows:
            if standing is None or standing.known_from < row.known_from:
                standing = row
                holds = newest is not None and not newest.is_withdrawn
                is_news = holds if row.is_withdrawn else not holds or newest.value != row.value
                if is_news:
                    newest = row
                    self.revisions.append(row)
            elif not row.is_withdrawn and row.value != standing.value:
                self.quarantined[row.offset] = "conflicting_version"
        if newest is not None and not newest.is_withdrawn:
            self.current.append(newest)


def digest(rows: Iterable[Change]) -> str:
    """One hash of all rows, whatever their order; a row twice is not a row once."""
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()
