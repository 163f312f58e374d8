"""The pollers' own metrics: stores in instruments what producers/schedule/measures.py reports."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from monitoring.metrics import catalogue
from monitoring.metrics.catalogue import POLL_OUTCOMES
from monitoring.metrics.instruments import Instruments, registry


class ScheduleMetrics:
    """The metrics of one worker. Threads may share it."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.registry: CollectorRegistry = registry()
        self._made = Instruments(catalogue.of("schedule"), self.registry)
        for source in sources:
            for outcome in POLL_OUTCOMES:
                self._made.make("polls_total", source, outcome)
            for name in ("fetched_bytes_total", "published_records_total"):
                self._made.make(name, source)

    def polled(self, source: str, seconds: float, received: int, published: int) -> None:
        """A source was polled. Args: received: bytes of its answers. published: records."""
        self._made.observe("poll_duration_seconds", source, value=seconds)
        self._made.add("fetched_bytes_total", source, amount=received)
        self._made.add("published_records_total", source, amount=published)

    def recorded(self, source: str, outcome: str) -> None:
        """The outcome of a poll was recorded, also if it sent no request."""
        self._made.add("polls_total", source, outcome)

    def leads(self, is_leader: bool) -> None:
        """Whether this worker leads now."""
        self._made.set("leader", value=float(is_leader))
