"""The PromQL of dashboards and alerts, parsed: its metrics, and the selectors that must find something."""

import math
import re
from collections.abc import Iterator
from typing import Any

import promql_parser

from tests.monitoring.alerts.live import Alerting


def nodes(expression: str) -> Iterator[Any]:
    """Every part of an expression. Raises: ValueError when it is no PromQL."""
    waiting = [promql_parser.parse(expression)]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("lhs", "rhs", "expr", "vector_selector", "vs"):
            child = getattr(node, name, None)
            if child is not None:
                waiting.append(child)
        waiting += getattr(node, "args", None) or []


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression reads; a histogram by its own name. Raises: ValueError when it is no PromQL."""
    return {re.sub(r"_(bucket|sum|count)$", "", node.name) for node in nodes(expression) if _selects(node)}


def selectors_in(expression: str) -> set[str]:
    """What an expression asks for, with the labels that it wants, before it compares or computes anything."""
    return {str(node) for node in nodes(expression) if _selects(node)}


def values(all_: Alerting, expression: str) -> list[float]:
    """What Prometheus says now."""
    return [float(each["value"][1]) for each in all_.query(expression)]


def without_finite_values(all_: Alerting, expression: str) -> list[str]:
    """Whether an expression has values, and all of them are numbers."""
    found = values(all_, expression)
    return [] if found and all(math.isfinite(each) for each in found) else [f"{expression}: {found}"]


def _selects(node: Any) -> bool:
    return isinstance(node, promql_parser.VectorSelector)
