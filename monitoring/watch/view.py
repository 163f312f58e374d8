"""What is known at one moment, of all parts together: the ground of the metrics and of the status document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitoring.lag.status import Line, State, state_of
from monitoring.watch.broker import Kafka
from monitoring.watch.checkpoints import Query
from monitoring.watch.lake import Lake, Table


@dataclass(frozen=True)
class Place:
    """One query that is watched.

    Attributes:
        contract: of bronze, the contract whose topic it reads.
        source: what it reads, in words.
    """

    layer: str
    table: str
    source: str
    contract: str | None = None

    @property
    def query(self) -> str:
        """`<layer>.<table>`."""
        return f"{self.layer}.{self.table}"


@dataclass(frozen=True)
class Slot:
    """What became of one slot of a source."""

    outcome: str
    slot_at: datetime


@dataclass(frozen=True)
class SourceState:
    """A source, as poll.outcomes and its calendar have it.

    Attributes:
        overdue: slots that are due and have no outcome, oldest first.
        outcomes: the last ones, oldest first.
    """

    last_success_at: datetime | None
    overdue: tuple[datetime, ...]
    circuit_open: bool
    outcomes: tuple[Slot, ...]


@dataclass(frozen=True)
class Disk:
    """The file system that holds the lake."""

    free: int
    size: int


@dataclass(frozen=True)
class View:
    """What the parts know. None: nothing.

    Attributes:
        tables: as last known, also of tables that cannot be read now.
        queries: likewise of checkpoints.
        sources: likewise of sources; `schedule` only what is known now.
        next_slots: source → its next slot; known without any part.
        periods_missing: source → periods that its publication calendar expected; none while the lake is not known.
    """

    now: float
    kafka: Kafka | None
    checkpoints: Mapping[str, Query] | None
    lake: Lake | None
    schedule: Mapping[str, SourceState] | None
    disk: Disk | None
    tables: Mapping[str, Table]
    queries: Mapping[str, Query]
    sources: Mapping[str, SourceState]
    last_lake: Lake | None
    next_slots: Mapping[str, datetime]
    periods_missing: Mapping[str, int]


@dataclass(frozen=True)
class Seen:
    """One query at that moment. Attributes: oldest_at: of the oldest record that waits; None: none does, or unknown."""

    line: Line
    oldest_at: float | None
    committed_at: float | None


def seen(view: View, places: Sequence[Place]) -> list[Seen]:
    """Every query, in the order of the places."""
    return [_bronze(view, place) if place.layer == "bronze" else _derived(view, place) for place in places]


def retention(view: View, place: Place) -> tuple[float, float] | None:
    """Seconds to loss, and the share of the topic's retention that is used up, of a query of bronze.

    Returns: None when nothing waits, the topic keeps records for ever, or it is not known.
    """
    kafka, contract = view.kafka, place.contract
    if kafka is None or kafka.waiting is None or contract is None or view.checkpoints is None:
        return None
    waiting, kept = kafka.waiting, kafka.retention.get(place.source)
    if kept is None or contract not in waiting.offsets:
        return None
    left = []
    for where, (position, _) in waiting.offsets[contract].items():
        if waiting.topics[where[0]].partitions[where[1]].first > position:
            return 0.0, 1.0  # some of what waited is gone
        oldest = waiting.oldest.get(where)
        if oldest is not None:
            left.append(kept - (view.now - oldest))
    if not left:
        return None
    seconds = min(kept, max(0.0, min(left)))
    return seconds, 1.0 - seconds / kept if kept else 1.0


def _bronze(view: View, place: Place) -> Seen:
    waiting = view.kafka.waiting if view.kafka is not None and view.checkpoints is not None else None
    offsets = waiting.offsets.get(place.contract or "") if waiting is not None else None
    if waiting is None or offsets is None:
        return _seen(view, place, None, None, is_known=False, is_gone=waiting is not None)
    times = [waiting.oldest[where] for where in offsets if where in waiting.oldest]
    known = [each for each in times if each is not None]
    return _seen(
        view, place, sum(count for _, count in offsets.values()), min(known, default=None),
        is_known=len(times) == len(offsets),
    )  # fmt: skip


def _derived(view: View, place: Place) -> Seen:
    waiting = view.lake.waiting.get(place.query) if view.lake is not None and view.checkpoints is not None else None
    if waiting is None:
        return _seen(view, place, None, None, is_known=False)
    oldest = [each.oldest_at for each in waiting if each.oldest_at is not None]
    return _seen(view, place, sum(each.records for each in waiting), min(oldest, default=None), is_known=True)


def _seen(
    view: View, place: Place, records: int | None, oldest: float | None, *, is_known: bool, is_gone: bool = False
) -> Seen:
    """Args: is_known: whether the age of what waits is. is_gone: the broker answers, and has no such topic."""
    query = (view.checkpoints or view.queries).get(place.query)
    progress, standing = (query.progress, query.standing) if query is not None else (None, None)
    waiting = view.kafka.waiting if view.kafka is not None else None
    topic = waiting.topics.get(place.source) if waiting is not None and place.layer == "bronze" else None
    state: State = state_of(standing, progress, topic, records)
    if view.checkpoints is None or (records is None and state == "ok" and not is_gone):
        state = "unknown"
    seconds = None if not is_known else 0.0 if oldest is None else max(0.0, view.now - oldest)
    table = view.tables.get(place.query)
    newest = None if table is None or table.newest_at is None else datetime.fromtimestamp(table.newest_at, UTC)
    line = Line(
        layer=place.layer,
        table=place.table,
        source=place.source,
        state=state,
        records_behind=records,
        seconds_behind=seconds,
        newest_event_at=newest,
        committed_batch=progress.committed_batch if progress is not None else None,
        reason=standing.reason if standing is not None else None,
        hint=standing.hint if standing is not None else None,
    )
    return Seen(line, oldest, query.committed_at if query is not None else None)
