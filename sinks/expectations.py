"""Expectations: what must be true of a row, in SQL that both Spark and DuckDB understand."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

Action = Literal["warn", "quarantine", "fail"]


@dataclass(frozen=True)
class Expectation:
    """One rule.

    Attributes:
        name: stands in `silver.quarantine` and in the log.
        sql: a predicate over the dataset's columns. Like a CHECK constraint it is broken only where it is false: a
            null passes, so that a missing value breaks no range.
        action: `warn` counts, `quarantine` sets the row aside, `fail` stops the query.
    """

    name: str
    sql: str
    action: Action


def broken(expectations: Iterable[Expectation], action: Action) -> Column:
    """The names of the expectations with this action that a row breaks, as an array, in order of declaration."""
    names = [F.when(~F.expr(f"({each.sql})"), F.lit(each.name)) for each in expectations if each.action == action]
    return F.array_compact(F.array(*names)).cast("array<string>")
