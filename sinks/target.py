"""The tables that a dataset's changes are written to, and the code that all writers of them share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from foundation import quoting
from sinks import sql
from sinks.expectations import Expectation
from sinks.snapshot import FILE, Snapshot, between

IS_WITHDRAWN = "is_withdrawn"

Bounds = tuple[Any, Any]
"""Least and greatest value of the pruning column."""


@dataclass(frozen=True)
class SilverTarget:
    """The tables for a dataset's changes, and the columns that identify a row.

    Attributes:
        keys: natural key; nulls are equal to nulls.
        columns: all columns of revisions, in order; current has all of them but `is_withdrawn`, because it holds no
            withdrawn key.
        prune_by: the key column whose literal bounds limit what a batch reads of the tables.
        revisions, current, quarantine: paths of the tables.
        last_counts: as of `sinks.versions.classify`.
    """

    dataset: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    prune_by: str
    expectations: tuple[Expectation, ...]
    revisions: str
    current: str
    quarantine: str
    last_counts: bool = False

    @property
    def current_columns(self) -> tuple[str, ...]:
        """All columns of current, in order."""
        return tuple(name for name in self.columns if name != IS_WITHDRAWN)

    def stored(self, revisions: Snapshot, keys: pa.Table, columns: Sequence[str], within: Bounds) -> pa.Table:
        """Some columns of the revisions of these keys, which lie within the bounds, and `FILE`."""
        # Null in rows of a release that knew no withdrawals.
        told = {IS_WITHDRAWN: f"coalesce({IS_WITHDRAWN}, false) AS {IS_WITHDRAWN}"}
        selected = ", ".join(told.get(name, quoting.quoted(name)) for name in columns)
        return sql.table(
            f"SELECT {selected}, {FILE} FROM held SEMI JOIN keys ON {sql.same(self.keys, 'held', 'keys')}",
            held=revisions.scan(list(dict.fromkeys((*self.keys, *columns))), between(self.prune_by, *within)),
            keys=keys,
        )


def matching(
    left: DataFrame, right: DataFrame, columns: Iterable[str], how: Literal["left_semi", "left_anti"]
) -> DataFrame:
    """The rows of `left` that have a match in `right` in these columns, or that have none; null equals null."""
    return left.alias("l").join(right.alias("r"), same(columns, "l", "r"), how)


def same(columns: Iterable[str], left: str, right: str) -> Column:
    """Whether two sides of a join agree in all of these; null equals null."""
    return reduce(
        Column.__and__, (F.col(f"{left}.{column}").eqNullSafe(F.col(f"{right}.{column}")) for column in columns)
    )


def bounds(rows: pa.Table, column: str) -> Bounds:
    """Least and greatest value; (None, None) without rows, a range that no row is in."""
    found = pc.min_max(rows[column])
    return found["min"].as_py(), found["max"].as_py()
