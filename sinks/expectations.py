"""Expectations: rules that a row must meet, in SQL that both Spark and DuckDB understand."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from foundation.quoting import text

Action = Literal["warn", "quarantine", "fail"]


@dataclass(frozen=True)
class Expectation:
    """One rule.

    Attributes:
        name: used in `silver.quarantine` and in the log.
        sql: a predicate over the dataset's columns. As in a CHECK constraint, only false breaks it: null passes, so
            that a missing value breaks no range.
        action: `warn` counts the row, `quarantine` puts it into quarantine, `fail` stops the query.
    """

    name: str
    sql: str
    action: Action


def broken(expectations: Iterable[Expectation], action: Action) -> str:
    """SQL of the names of the expectations with this action that a row breaks, a list in order of declaration."""
    names = [f"CASE WHEN NOT ({each.sql}) THEN {text(each.name)} END" for each in expectations if each.action == action]
    return f"list_filter([{', '.join(names)}]::VARCHAR[], lambda name: name IS NOT NULL)"
