"""The declared expectations as suites of Great Expectations, one per table, in its JSON. It needs no installation.

A predicate of a known shape becomes the expectation of that shape; every other one becomes a query for the rows that
break it, in SQL that Spark reads as DuckDB does. As in a CHECK, null breaks nothing.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from schemas.contracts import load
from sinks.expectations import Expectation
from stream_jobs.gold import model as gold
from stream_jobs.silver.tables import model as silver

CRITICAL = "critical"
"""What `fail` and `quarantine` are here: no row of a table may break them. `warn` is `warning`."""
KEY = "key_is_unique"

Suite = dict[str, Any]
_Kwargs = dict[str, Any]

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_TEXTS = r"'[^']*'(?:, '[^']*')*"


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)


def _texts(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


_PAIR: _Kwargs = {"or_equal": True, "ignore_row_if": "either_value_is_missing"}

# Shape of a predicate → type of the expectation, and its arguments by the groups of the shape.
_SHAPES: tuple[tuple[str, str, Callable[..., _Kwargs]], ...] = (
    (r"(\w+) IS NOT NULL", "expect_column_values_to_not_be_null", lambda column: {"column": column}),
    (
        rf"(\w+) BETWEEN {_NUMBER} AND {_NUMBER}",
        "expect_column_values_to_be_between",
        lambda column, low, high: {"column": column, "min_value": _number(low), "max_value": _number(high)},
    ),
    (
        rf"(\w+) (>=?) {_NUMBER}",
        "expect_column_values_to_be_between",
        lambda column, sign, low: {"column": column, "min_value": _number(low), "strict_min": sign == ">"},
    ),
    (
        rf"(\w+) IN \(({_TEXTS})\)",
        "expect_column_values_to_be_in_set",
        lambda column, texts: {"column": column, "value_set": _texts(texts)},
    ),
    (
        r"length\((\w+)\) = (\d+)",
        "expect_column_value_lengths_to_equal",
        lambda column, places: {"column": column, "value": int(places)},
    ),
    (
        r"(\w+) <= ([a-z]\w*)",
        "expect_column_pair_values_a_to_be_greater_than_b",
        lambda less, more: {"column_A": more, "column_B": less, **_PAIR},
    ),
    (
        r"(\w+) >= ([a-z]\w*)",
        "expect_column_pair_values_a_to_be_greater_than_b",
        lambda more, less: {"column_A": more, "column_B": less, **_PAIR},
    ),
)


def suites() -> dict[str, Suite]:
    """Table (`<layer>.<name>`) → its suite: the declared expectations, and that a key stands once."""
    found = {
        f"silver.{name}": _suite(f"silver.{name}", table.expectations, load(name).key)
        for name, table in silver.discover().items()
    }
    for name, table in gold.discover().items():
        if isinstance(table, gold.GoldTable):
            found[f"gold.{name}"] = _suite(f"gold.{name}", table.expectations, table.keys)
    return found


def _suite(table: str, expectations: Iterable[Expectation], key: Iterable[str]) -> Suite:
    columns = [*key]
    one: tuple[str, _Kwargs] = (
        ("expect_column_values_to_be_unique", {"column": columns[0]})
        if len(columns) == 1
        else ("expect_compound_columns_to_be_unique", {"column_list": columns, "ignore_row_if": "never"})
    )
    return {
        "name": table,
        "expectations": [
            *(_expectation(each.name, each.action, *shape(each.sql)) for each in expectations),
            _expectation(KEY, "fail", *one),
        ],
    }


def _expectation(name: str, action: str, kind: str, kwargs: _Kwargs) -> Suite:
    severity = "warning" if action == "warn" else CRITICAL
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"name": name, "action": action}}


def shape(predicate: str) -> tuple[str, _Kwargs]:
    """Type and arguments of the expectation that a predicate becomes."""
    for pattern, kind, arguments in _SHAPES:
        if match := re.fullmatch(pattern, predicate):
            return kind, arguments(*match.groups())
    query = f"SELECT * FROM {{batch}} WHERE NOT ({predicate})"
    return "unexpected_rows_expectation", {"unexpected_rows_query": query}
