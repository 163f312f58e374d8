"""What a dashboard is made of: rows of panels, each with its question in words and its PromQL."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["short", "s", "bytes", "percentunit", "Bps"]
Kind = Literal["stat", "timeseries", "table"]


@dataclass(frozen=True)
class Query:
    """One expression.

    Attributes:
        legend: Grafana's form; labels stand as `{{label}}`.
        empty_when: why a healthy pipeline may have no value for it; empty where it always has one.
        unit: where it differs from its panel's.
    """

    expr: str
    legend: str = ""
    empty_when: str = ""
    unit: Unit | None = None


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        says: what a person reads from it, and what is bad.
        labels: of its series, in the order of a table's columns.
        bad_above: a threshold from which on a value is marked; None where there is none.
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
    """Panels under one title; `name` is where alerts' `dashboard_url` leads to."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def quantile(metric: str, by: str, window: str) -> str:
    """The 95th percentile; nothing instead of NaN where nothing was measured within the window."""
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket[{window}]))) >= 0"


TABLE = "{{layer}}.{{table}}"
NOTHING_WAITS = "nothing waits"
NO_BATCH = "no batch within the window"
