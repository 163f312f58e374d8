"""The parts of a dashboard: rows of panels, each with a text and its PromQL."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["short", "s", "bytes", "percentunit", "Bps"]
Kind = Literal["stat", "timeseries", "table"]


@dataclass(frozen=True)
class Query:
    """One expression.

    Attributes:
        legend: in Grafana's form; a label is written as `{{label}}`.
        empty_when: why a healthy pipeline may have no value for it; empty if it always has one.
        unit: if it differs from its panel's.
    """

    expr: str
    legend: str = ""
    empty_when: str = ""
    unit: Unit | None = None


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        says: the text below the title: what the panel shows, and what is bad.
        labels: of its series, in the order of a table's columns.
        bad_above: values above it are marked; None if there is no threshold.
    """

    title: str
    says: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    queries: tuple[Query, ...]
    width: int = 12
    bad_above: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under one title; an alert's `dashboard_url` leads to `name`."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def quantile(metric: str, by: str, window: str) -> str:
    """The 95th percentile; no value, instead of NaN, if nothing was measured within the window."""
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket[{window}]))) >= 0"


TABLE = "{{layer}}.{{table}}"
NOTHING_WAITS = "nothing waits"
NO_BATCH = "no batch within the window"
