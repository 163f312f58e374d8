"""What the dashboards show. Grafana's dashboard and the console page of Prometheus are both written from this list."""

from monitoring.dashboards.model import Panel, Query, Row, quantile
from monitoring.dashboards.sources import KAFKA, SOURCES
from monitoring.dashboards.tables import LAKE, LAYERS, MACHINE

ANSWER = Row(
    "answer",
    "Is everything there and fresh?",
    (
        Panel(
            "Alerts that fire",
            "By name; 0 when there is none. Each has a heading in the runbook.",
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
            "Queries that stand still",
            "Stopped, stalled, or their topic was made anew: `correnteza status` says why.",
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
            "How long ago the newest thing happened that a layer knows of.",
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
            "Canary records: 95 of 100 took at most so long.",
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
            "A layer that it does not reach is broken.",
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
            "1 answers, 0 does not. Parts are what the monitor looks at.",
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
            "What runs.",
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
