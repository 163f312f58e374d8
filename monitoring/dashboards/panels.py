"""What the dashboards show. Grafana's dashboard and the console page of Prometheus are both written from this list."""

from monitoring.dashboards.model import Panel, Query, Row, quantile
from monitoring.dashboards.sources import KAFKA, SOURCES
from monitoring.dashboards.tables import LAKE, LAYERS, MACHINE

ANSWER = Row(
    "answer",
    "Is everything complete and up to date?",
    (
        Panel(
            "Firing alerts",
            "By name; 0 when there is none. The runbook has a heading for each.",
            "stat",
            "short",
            ("alertname", "severity"),
            width=6,
            bad_above=1,
            queries=(
                Query(
                    'count by (alertname, severity) (ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
                    "{{alertname}}",
                ),
            ),
        ),
        Panel(
            "Stopped queries",
            "Stopped, stalled, or with a recreated topic: `correnteza status` says why.",
            "stat",
            "short",
            (),
            width=6,
            bad_above=1,
            queries=(
                Query(
                    'count(correnteza_query_state{state=~"stopped|stalled|topic_replaced"} == 1) or vector(0)',
                    "queries",
                ),
            ),
        ),
        Panel(
            "Seconds behind, by layer",
            "Age of the oldest record that a layer has not read yet; the worst table of each layer.",
            "stat",
            "s",
            ("layer",),
            width=6,
            bad_above=900,
            queries=(Query("max by (layer) (correnteza_lag_seconds)", "{{layer}}"),),
        ),
        Panel(
            "Age of the newest event, by layer",
            "Time since the newest event in the layer.",
            "stat",
            "s",
            ("layer",),
            width=6,
            queries=(
                Query(
                    "time() - max by (layer) (correnteza_newest_event_timestamp_seconds)",
                    "{{layer}}",
                    empty_when="before the first row",
                ),
            ),
        ),
        Panel(
            "From publication to the layer",
            "Canary records: 95th percentile.",
            "timeseries",
            "s",
            ("stage",),
            width=8,
            queries=(
                Query(
                    quantile("correnteza_canary_latency_seconds", "stage", "15m"),
                    "{{stage}}",
                    empty_when="no canary within the window",
                ),
            ),
        ),
        Panel(
            "Age of the newest canary record",
            "If it grows, something before or in this layer is broken.",
            "timeseries",
            "s",
            ("stage",),
            width=8,
            bad_above=600,
            queries=(
                Query(
                    "time() - max by (stage) (correnteza_canary_newest_timestamp_seconds)",
                    "{{stage}}",
                    empty_when="before the first canary",
                ),
            ),
        ),
        Panel(
            "Processes and parts",
            "1: answers, 0: does not answer. Parts are what the monitor reads.",
            "table",
            "short",
            ("job", "instance", "part"),
            width=8,
            queries=(
                Query('up{job=~"monitor|stream|schedule"}', "{{job}} {{instance}}"),
                Query("correnteza_up", "{{part}}"),
            ),
        ),
        Panel(
            "Release",
            "The running version.",
            "table",
            "short",
            ("version", "python"),
            width=24,
            queries=(Query("correnteza_build_info", "{{version}}"),),
        ),
    ),
)

ROWS = (ANSWER, SOURCES, KAFKA, LAYERS, LAKE, MACHINE)


def panels() -> tuple[Panel, ...]:
    """All of them, in their order."""
    return tuple(panel for row in ROWS for panel in row.panels)


def queries() -> tuple[Query, ...]:
    """Every expression."""
    return tuple(query for panel in panels() for query in panel.queries)
