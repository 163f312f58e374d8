"""The counters of a process: instruments of prometheus-client, registered from the catalogue."""

from collections.abc import Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from monitoring.metrics import catalogue
from monitoring.metrics.catalogue import Metric
from monitoring.metrics.families import require_known

# The `_created` series would double the size of a scrape, and no rule reads them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Instruments:
    """The instruments of some metrics, by the names of the catalogue."""

    def __init__(self, metrics: Iterable[Metric], registry: CollectorRegistry) -> None:
        self._made = {metric.name: _instrument(metric, registry) for metric in metrics}

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Increase a counter."""
        made = self._of(name, labels)
        assert isinstance(made, Counter)
        made.inc(amount)

    def set(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        made = self._of(name, labels)
        assert isinstance(made, Gauge)
        made.set(value)

    def make(self, name: str, *labels: str) -> None:
        """Create a series with its initial value, so that its first change is visible."""
        self._of(name, labels)

    def observe(self, name: str, *labels: str, value: float) -> None:
        """Add a value to a histogram."""
        made = self._of(name, labels)
        assert isinstance(made, Histogram)
        made.observe(value)

    def _of(self, name: str, labels: tuple[str, ...]) -> Counter | Gauge | Histogram:
        require_known(catalogue.metric(name), labels)
        made = self._made[name]
        return made.labels(*labels) if labels else made


def registry() -> CollectorRegistry:
    """A registry that holds the process metrics."""
    made = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=made)
    return made


def _instrument(metric: Metric, to: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "counter":
        return Counter(metric.full_name, metric.help, metric.label_names, registry=to)
    if metric.kind == "gauge":
        return Gauge(metric.full_name, metric.help, metric.label_names, registry=to)
    return Histogram(metric.full_name, metric.help, metric.label_names, registry=to, buckets=metric.buckets)
