"""The state of all parts at one moment: the source of the metrics and of the status document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from monitoring.lag import behind
from monitoring.lag.behind import Behind
from monitoring.lag.status import Line, line_of
from monitoring.lag.waiting import Waiting
from monitoring.watch.broker import Kafka
from monitoring.watch.checkpoints import Query
from monitoring.watch.lake import Lake, Table


@dataclass(frozen=True)
class Place:
    """One watched query.

    Attributes:
        contract: for bronze, the contract whose topic it reads.
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
    """The outcome of one slot of a source."""

    outcome: str
    slot_at: datetime


@dataclass(frozen=True)
class SourceState:
    """A source, from poll.outcomes and its calendar.

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
    """The values of the parts. None: unknown.

    Attributes:
        tables: as last known, also of tables that cannot be read now.
        queries, sources, last_lake: likewise the last known checkpoints, sources and lake; `checkpoints`, `schedule`
            and `lake` are the present ones.
        next_slots: source → its next slot; known without any part.
        periods_missing: source → periods that its publication calendar expected; empty while the lake is unknown.
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
    """One query at that moment. Attributes: oldest_at: of the oldest record that waits; None if none waits, or it is
    unknown."""

    line: Line
    oldest_at: float | None
    committed_at: float | None


def seen(view: View, places: Sequence[Place]) -> list[Seen]:
    """Every query, in the order of the places."""
    return [_seen(view, place) for place in places]


def retention(view: View, place: Place) -> tuple[float, float] | None:
    """For a query of bronze: seconds until records are lost, and the share of the topic's retention that is used up.

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
            return 0.0, 1.0  # some of the waiting records are lost already
        oldest = waiting.oldest.get(where)
        if oldest is not None:
            left.append(kept - (view.now - oldest))
    if not left:
        return None
    seconds = min(kept, max(0.0, min(left)))
    return seconds, 1.0 - seconds / kept if kept else 1.0


def _seen(view: View, place: Place) -> Seen:
    query = (view.checkpoints or view.queries).get(place.query)
    progress, stop_note = (query.progress, query.stop_note) if query is not None else (None, None)
    kafka = view.kafka.waiting if view.kafka is not None and place.layer == "bronze" else None
    waiting = _behind(view, place, kafka)
    table = view.tables.get(place.query)
    newest = None if table is None or table.newest_at is None else datetime.fromtimestamp(table.newest_at, UTC)
    topic = kafka.topics.get(place.source) if kafka is not None else None
    line = line_of(
        place.query, place.source, progress, waiting,
        stop_note=stop_note, topic=topic, newest_event_at=newest, now=view.now,
    )  # fmt: skip
    # The broker answers and has no such topic: then nothing waits.
    is_told = waiting.records is not None or kafka is not None
    if view.checkpoints is None or (line.state == "ok" and not is_told):
        line = replace(line, state="unknown")
    return Seen(line, waiting.oldest_at, query.committed_at if query is not None else None)


def _behind(view: View, place: Place, kafka: Waiting | None) -> Behind:
    """The records that wait for a query; unknown without its checkpoint."""
    if view.checkpoints is None:
        return behind.UNKNOWN
    if place.layer == "bronze":
        return behind.of_topic(kafka, place.contract or "")
    unread = view.lake.waiting.get(place.query) if view.lake is not None else None
    return behind.UNKNOWN if unread is None else behind.of_tables(unread)
