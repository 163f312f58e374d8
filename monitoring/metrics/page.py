"""docs/metrics.md, written from the catalogue: `make metrics`."""

from collections.abc import Iterable, Iterator

from monitoring.metrics import catalogue
from monitoring.metrics.catalogue import PROCESSES, Metric

_TOP = """# Metrics

Written from `monitoring/metrics/catalogue.py` by `make metrics`; a test compares both, and the catalogue with what the
processes export. By default every process listens on 127.0.0.1, and Prometheus scrapes each of them:
[prometheus.yml](../deploy/prometheus/prometheus.yml).

Times are seconds since 1970, so that PromQL can subtract: `time() - correnteza_newest_event_timestamp_seconds`.
Shares go from 0 to 1. An unknown value is absent, and never -1 or 0. The column "While its part is down" shows the
value while the part of the monitor that sets it does not answer: *absent*, or *kept* (the last value).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_TOP, *_sections(), *_process_metrics(), *_labels()])


def _sections() -> Iterator[str]:
    for process, (verb, port) in PROCESSES.items():
        yield f"## `{verb}`: job `{process}`, port {port}\n"
        is_monitor = process == "monitor"
        yield "| Metric | Type | Unit | Labels | Meaning |" + (" Part | While its part is down |" if is_monitor else "")
        yield "|---|---|---|---|---|" + ("---|---|" if is_monitor else "")
        for metric in catalogue.of(process):
            more = f" {metric.part or '-'} | {metric.when_down or '-'} |" if is_monitor else ""
            labels = ", ".join(f"`{name}`" for name in metric.label_names) or "-"
            yield f"| `{metric.full_name}` | {metric.kind} | {metric.unit or '-'} | {labels} | {metric.help} |{more}"
        yield ""
    yield "Buckets of the histograms, in seconds:\n"
    for metric in catalogue.CATALOGUE:
        if metric.buckets:
            yield f"* `{metric.full_name}`: {', '.join(f'{each:g}' for each in metric.buckets)}"
    yield ""


def _process_metrics() -> Iterator[str]:
    yield "## Every process\n\n| Metric | Meaning |\n|---|---|"
    yield from (f"| `{name}` | {what} |" for name, what in catalogue.PROCESS_METRICS.items())
    yield ""


def _labels() -> Iterator[str]:
    yield "## Labels\n\n| Label | Metrics | Values | Origin |\n|---|---|---|---|"
    for name, values, origin, metrics in _distinct(catalogue.CATALOGUE):
        of = ", ".join(f"`{each}`" for each in metrics[:2]) + (
            f" and {len(metrics) - 2} more" if len(metrics) > 2 else ""
        )
        yield f"| `{name}` | {of} | {', '.join(values) if values else 'names'} | {origin} |"
    yield ""


def _distinct(metrics: Iterable[Metric]) -> list[tuple[str, tuple[str, ...] | None, str, list[str]]]:
    found: dict[tuple[str, str], tuple[tuple[str, ...] | None, list[str]]] = {}
    for metric in metrics:
        for label in metric.labels:
            found.setdefault((label.name, label.origin), (label.values, []))[1].append(metric.name)
    return [(name, values, origin, names) for (name, origin), (values, names) in found.items()]


if __name__ == "__main__":
    print(page(), end="")
