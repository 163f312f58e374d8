"""What a gold table is made of. Each module of this package that defines `TABLE` declares one table.

A `GoldTable` is recomputed group by group: the query streams what changed in its inputs, `Input.groups` widens each
change to the groups it touches (a civil day, a month, a key), and `recompute` rebuilds exactly those groups from
silver. The same `recompute` runs on as-of revisions, so it must read no clock and nothing but its two arguments and
static reference data.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from sinks.expectations import Expectation
from sinks.snapshot import Filter
from stream_jobs.gold.groups import Groups


class Revisions(Protocol):
    """Silver as it was known at an instant, now or in the past; or at each of several instants, side by side."""

    @property
    def vintage(self) -> tuple[str, ...]:
        """The column that tells several instants apart in every frame, `("origin_at",)`; empty where there is one.

        Group, join and open windows only within a vintage.
        """
        ...

    def newest(
        self,
        dataset: str,
        *,
        within: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        withdrawn: bool = False,
    ) -> DataFrame:
        """The newest version of every key, one row per key (and vintage); keys that are withdrawn have none.

        Args:
            dataset: such as `inmet_hourly`. A dataset without rows gives an empty frame, never an error.
            within: bounds of *key* columns (see `bounds`), by which files are left out. Bounds on other columns would
                choose among versions, which is wrong. Filter the result with `where` instead.
            columns: the value columns that are needed; None for all.
            withdrawn: give withdrawn keys too: a row with `is_withdrawn`, null values and the withdrawal's clock, so
                that a sum knows since when they have been missing.

        Returns: the columns of `silver.<dataset>` (key, values, place), and `first_known_from`: since when the key has
            had a value in any of the requested columns; null if it never had one.
        """
        ...

    def versions(self, dataset: str, *, columns: Sequence[str]) -> DataFrame:
        """Every version of every key, withdrawals too (with null values): for widening: a key that moved or was
        withdrawn also touches its former group."""
        ...

    def cached(
        self, name: str, datasets: Sequence[str], build: Callable[[], DataFrame], *, of: Hashable = None
    ) -> DataFrame:
        """A small frame computed from some datasets only; it is built again only after one of them changed.

        Args:
            name: tells it from others that are made from the same datasets.
            of: which part of them, such as a range of days; for another part it is built again.
        """
        ...


@dataclass(frozen=True)
class Column:
    """A column of a gold table, for the table's schema and for its documentation.

    Attributes:
        type: Spark's DDL, such as `DOUBLE` or `DATE NOT NULL`.
        meaning: the description for readers.
        unit: of the values; empty for names, counts and flags.
        source: datasets that it is computed from; empty if it is computed from the other columns.
        formula: how it is computed; empty for a value that is copied.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    source: str = ""
    formula: str = ""


def schema_of(columns: Sequence[Column]) -> str:
    """DDL of columns, in order."""
    return ", ".join(f"{column.name} {column.type}" for column in columns)


@dataclass(frozen=True)
class Input:
    """A dataset whose changes reach the table.

    Attributes:
        dataset: silver dataset.
        groups: rows of `silver.<dataset>_revisions` that are new → the group columns they touch, duplicates allowed.
            It runs on a streaming frame: select, filter, explode and joins with static frames only.
    """

    dataset: str
    groups: Callable[[DataFrame], DataFrame]


Classes = Mapping[str, tuple[str, ...]]
"""Class → columns."""


@dataclass(frozen=True)
class GoldTable:
    """A table that follows its inputs.

    Attributes:
        name: table below `gold/`.
        keys: columns that identify a row; they contain every group column.
        group: columns of the unit of recomputation.
        inputs: where changes come from.
        about: one sentence: what a row is.
        columns: all columns, in order.
        recompute: (silver, affected groups) → all rows of those groups and of no other, with exactly the schema's
            columns. A group without a row in the result is emptied.
        classes: class of schemas/classes.py → the columns of it; every column has one.
        expectations: what must be true of a row: `warn` counts, `fail` stops the query. Gold puts no row into
            quarantine.
        widen: where a change touches groups that only silver can name ("every day of this station"), the inputs'
            `groups` may give other columns than `group`, equal for all inputs; (silver, those rows, each once) →
            affected groups, duplicates allowed. It runs on each batch, before `recompute`, in this process: only what
            it has to ask silver costs a job of Spark's.
    """

    name: str
    keys: tuple[str, ...]
    group: tuple[str, ...]
    inputs: tuple[Input, ...]
    about: str
    columns: tuple[Column, ...]
    recompute: Callable[[Revisions, Groups], DataFrame]
    widen: Callable[[Revisions, pa.Table], pa.Table] | None = None
    expectations: tuple[Expectation, ...] = ()
    classes: Classes = field(default_factory=dict)

    @property
    def schema(self) -> str:
        """DDL of the columns."""
        return schema_of(self.columns)

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables (`<layer>.<table>`) that its query streams, one per input."""
        return tuple(f"silver.{each.dataset}_revisions" for each in self.inputs)


@dataclass(frozen=True)
class StaticTable:
    """A table that depends on nothing but code and reference files; written at start when its content changed.

    Attributes:
        classes: as of `GoldTable`.
    """

    name: str
    keys: tuple[str, ...]
    about: str
    columns: tuple[Column, ...]
    build: Callable[[SparkSession], DataFrame]
    classes: Classes = field(default_factory=dict)


KNOWN_FROM = Column(
    "known_from",
    "TIMESTAMP NOT NULL",
    "instant since which the whole row could be known",
    "UTC",
    formula="newest known_from of the values in the row",
)


def discover() -> dict[str, GoldTable | StaticTable]:
    """Every declared table by name, in alphabetical order."""
    package = import_module("stream_jobs.gold.tables")
    found: dict[str, GoldTable | StaticTable] = {}
    for module in sorted(info.name for info in iter_modules(package.__path__)):
        table = getattr(import_module(f"stream_jobs.gold.tables.{module}"), "TABLE", None)
        if table is not None:
            found[table.name] = table
    return found
