"""Convert values in memory to Prometheus metrics. Names and labels that are not in the catalogue raise an error."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from monitoring.metrics import catalogue
from monitoring.metrics.catalogue import Metric

Samples = Mapping[str, Mapping[tuple[str, ...], float]]
"""Metric, without the prefix → label values in the catalogue's order → value."""


def require_known(metric: Metric, values: tuple[str, ...]) -> None:
    """Raises: ValueError when these are not valid label values of the metric."""
    if len(values) != len(metric.labels):
        raise ValueError(f"{metric.name}: {values} are not its labels {metric.label_names}")
    for label, value in zip(metric.labels, values, strict=True):
        if label.values is not None and value not in label.values:
            raise ValueError(f"{metric.name}: {label.name}={value!r} is none of {', '.join(label.values)}")


def family(metric: Metric, samples: Mapping[tuple[str, ...], float]) -> Family:
    """One metric with its values. Raises: ValueError, as `require_known`."""
    names = list(metric.label_names)
    made: GaugeMetricFamily | CounterMetricFamily = (
        CounterMetricFamily(metric.full_name, metric.help, labels=names)
        if metric.kind == "counter"
        else GaugeMetricFamily(metric.full_name, metric.help, labels=names)
    )
    for values, value in samples.items():
        require_known(metric, values)
        made.add_metric(values, value)
    return made


class SampledMetrics(Collector):
    """Gauges and counters of a process whose values are stored elsewhere.

    Args:
        metrics: all of them; a metric without values is exported with only its help text.
        read: returns the values in memory; called by each scrape.
    """

    def __init__(self, metrics: Iterable[Metric], read: Callable[[], Samples]) -> None:
        self._metrics = [metric for metric in metrics if metric.kind != "histogram"]
        self._read = read

    def collect(self) -> Iterable[Family]:
        """Called by prometheus-client. Raises: KeyError for a metric that is not in the catalogue."""
        samples = self._read()
        for name in samples:
            catalogue.metric(name)
        return [family(metric, samples.get(metric.name, {})) for metric in self._metrics]
