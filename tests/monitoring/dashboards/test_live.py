"""Every expression of the dashboards is run by a real Prometheus, over all metrics of the catalogue: finite values."""

import itertools
import time

from monitoring.dashboards.panels import queries
from monitoring.metrics.catalogue import CATALOGUE, PROCESS_METRICS, Metric
from tests.helpers import wait_for
from tests.monitoring.alerts.exposed import FakeMetrics, exposed
from tests.monitoring.alerts.live import alerting
from tests.monitoring.dashboards.expressions import without_finite_values


class GrowingMetrics(FakeMetrics):
    """Every metric of the catalogue, with values that grow from scrape to scrape."""

    def text(self, job: str) -> str:
        value = time.time() - 1_700_000_000
        lines = [f"{name} {value}\n" for name in PROCESS_METRICS]
        for metric in CATALOGUE:
            if metric.process == job:
                lines += [f"{name} {1 if metric.name == 'query_state' else value}\n" for name in series(metric)]
        return "".join(lines)


def series(metric: Metric) -> list[str]:
    """A metric's series, of every label's first two values."""
    found = []
    for values in itertools.product(*(label.values[:2] if label.values else ("some",) for label in metric.labels)):
        pairs = [f'{label.name}="{value}"' for label, value in zip(metric.labels, values, strict=True)]
        if metric.kind == "histogram":
            for bound in (*(f"{each:g}" for each in metric.buckets), "+Inf"):
                labels = ",".join([*pairs, f'le="{bound}"'])
                found.append(f"{metric.full_name}_bucket{{{labels}}}")
        else:
            found.append(f"{metric.full_name}{{{','.join(pairs)}}}")
    return found


def test_control_every_expression_and_the_console_page_show_finite_values(tmp_path, control, monkeypatch):
    monkeypatch.setattr("tests.monitoring.alerts.exposed.FakeMetrics", GrowingMetrics)
    with exposed() as (_, ports), alerting(tmp_path, ports, 180.0) as all_:
        wanted = [query.expr for query in queries()]
        wait_for(lambda: [found for each in wanted for found in without_finite_values(all_, each)] == [], "values")
        for each in wanted:
            control.holds(without_finite_values, all_, each)
        control.objects(without_finite_values, all_, "max(correnteza_no_such_metric)", damage="no_such_metric): []")
        page = all_.page("/consoles/correnteza.html")
        assert "no value: the process does not answer" not in page
        assert "NaN" not in page
