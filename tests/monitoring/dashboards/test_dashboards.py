"""Dashboards show the metrics of the catalogue in valid PromQL, and the committed files are the generated ones."""

import json
import re

import pytest

from monitoring.dashboards.__main__ import ROOT, written
from monitoring.dashboards.panels import ROWS, panels, queries
from monitoring.metrics.catalogue import CATALOGUE, PROCESS_METRICS
from tests.monitoring.alerts.promtool import rules
from tests.monitoring.dashboards.expressions import metrics_in

NOT_OURS = {"up", "ALERTS"}
"""What Prometheus itself adds."""
LABELS_OF_PROMETHEUS = {"job", "instance", "alertname", "severity"}


def unknown(expressions: list[str]) -> list[str]:
    """Metrics that nothing exports."""
    known = {metric.full_name for metric in CATALOGUE} | set(PROCESS_METRICS) | NOT_OURS
    return sorted(f"nothing exports {name}" for each in expressions for name in metrics_in(each) - known)


def unseen(expressions: list[str]) -> list[str]:
    """Metrics of the catalogue that no panel and no alert shows."""
    shown = {name for each in expressions for name in metrics_in(each)}
    return [f"nothing shows {metric.full_name}" for metric in CATALOGUE if metric.full_name not in shown]


def everything() -> list[str]:
    return [query.expr for query in queries()] + [rule.content["expr"] for rule in rules()]


def test_every_metric_of_dashboards_and_alerts_is_exported():
    assert unknown(everything()) == []


def test_every_metric_of_the_catalogue_is_shown():
    assert unseen(everything()) == []


def test_control_the_checks_see_a_metric_that_is_unknown_and_one_that_is_not_shown(control):
    control.holds(unknown, everything())
    control.objects(unknown, ["rate(correnteza_dreams_total[5m])"], damage="nothing exports correnteza_dreams_total")
    control.holds(unseen, everything())
    without = [each for each in everything() if "correnteza_table_log_files" not in each]
    control.objects(unseen, without, damage="nothing shows correnteza_table_log_files")


def test_control_what_is_no_promql_is_refused(control):
    def wrong(expression: str) -> list[str]:
        try:
            metrics_in(expression)
        except ValueError as error:
            return [f"no PromQL: {error}"]
        return []

    for each in everything():
        control.holds(wrong, each)
    control.objects(wrong, "sum by (layer (correnteza_lag_records)", damage="no PromQL: ")


def test_panels_name_labels_that_their_metrics_have():
    labels = {metric.full_name: set(metric.label_names) for metric in CATALOGUE}
    for panel in panels():
        own = set().union(*(labels.get(name, set()) for query in panel.queries for name in metrics_in(query.expr)))
        assert set(panel.labels) - own - LABELS_OF_PROMETHEUS == set(), panel.title
        for query in panel.queries:
            assert set(re.findall(r"{{(\w+)}}", query.legend)) <= set(panel.labels), panel.title


def test_alerts_lead_to_rows_that_there_are():
    anchors = {rule.content["annotations"]["dashboard_url"].partition("#")[2] for rule in rules()}
    assert anchors <= {row.name for row in ROWS}


@pytest.mark.parametrize("file", list(written()), ids=lambda file: file.name)
def test_what_is_committed_is_what_is_generated(file):
    """Else: make dashboards."""
    assert file.read_text(encoding="utf-8") == written()[file]


def test_grafana_s_dashboard_shows_every_panel_with_its_expressions():
    document = json.loads((ROOT / "monitoring/dashboards/correnteza.json").read_text())
    shown = {
        (panel["title"], target["expr"])
        for panel in document["panels"]
        if panel["type"] != "row"
        for target in panel["targets"]
    }
    assert shown == {(panel.title, query.expr) for panel in panels() for query in panel.queries}
    assert [panel["title"] for panel in document["panels"] if panel["type"] == "row"] == [row.title for row in ROWS]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in document["panels"])
