"""What `apply_changes` must do, in plain Python: the model that the property tests compare it with."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Change(NamedTuple):
    """One record. Key fields may be None; time is a number of days."""

    key: tuple[str | None, int]
    known_from: int
    value: float | None
    offset: int

    @property
    def is_valid(self) -> bool:
        """The one expectation of these tests: values are not negative, and a missing one breaks nothing."""
        return self.value is None or self.value >= 0


@dataclass
class Model:
    """Both silver tables and the quarantine, by Kafka offset: an offset names one record."""

    versions: dict[tuple[str | None, int], dict[int, Change]] = field(default_factory=dict)
    quarantined: dict[int, str] = field(default_factory=dict)

    def apply(self, batch: list[Change]) -> None:
        """One micro-batch: first which row stands at each (key, known_from), then which of those says something new."""
        first: dict[tuple[tuple[str | None, int], int], Change] = {}
        for change in sorted(batch, key=lambda c: c.offset):
            if not change.is_valid:
                self.quarantined[change.offset] = "value_not_negative"
                continue
            stored = self.versions.get(change.key, {}).get(change.known_from)
            standing = stored or first.setdefault((change.key, change.known_from), change)
            if standing.value != change.value:
                self.quarantined[change.offset] = "conflicting_version"
        for change in sorted(first.values(), key=lambda c: c.known_from):
            timeline = self.versions.setdefault(change.key, {})
            before = max((t for t in timeline if t < change.known_from), default=None)
            if before is None or timeline[before].value != change.value:
                timeline[change.known_from] = change

    @property
    def revisions(self) -> list[int]:
        """Offsets of all versions."""
        return sorted(change.offset for timeline in self.versions.values() for change in timeline.values())

    @property
    def current(self) -> list[int]:
        """Offset of the newest version of each key."""
        return sorted(timeline[max(timeline)].offset for timeline in self.versions.values() if timeline)
