"""The lake's Delta tables as DuckDB views, read without a JVM."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import pyarrow as pa

from foundation import quoting
from foundation.errors import UsageError
from monitoring.snapshot import LAYERS, Snapshot, snapshots
from storage import parquet
from storage.location import Location

if TYPE_CHECKING:
    import pyarrow.dataset as ds

LOCKED = (
    "allow_community_extensions = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "python_enable_replacements = false",
    "enable_external_access = false",
    "lock_configuration = true",  # the last one: nothing can be set after it
)
"""The settings of `Lake.lock_down`."""

MOST_HELD = 64 * 1024
"""Bytes of the files of a table that may be held in memory. A lake has some sixty tables."""


class Lake:
    """A read-only look at the tables below one root, through DuckDB.

    Args:
        root: holds `<layer>/<table>`.
        versions: `<layer>.<table>` → the version to read; others are read at their newest.
        holds_small_tables: for a caller who asks about every table, several times each: a small one is read once.
    """

    def __init__(
        self, root: Location, versions: Mapping[str, int] | None = None, *, holds_small_tables: bool = False
    ) -> None:
        self.snapshots = snapshots(root, versions)
        self._holds_small_tables = holds_small_tables

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB with the tables as views. It is made at the first query; a caller that only reads the logs needs
        none."""
        found = duckdb.connect()
        found.execute("SET TimeZone = 'UTC'")
        for layer in LAYERS:
            found.execute(f"CREATE SCHEMA {layer}")
        for name, snapshot in self.snapshots.items():
            found.register(f"dataset:{name}", self._rows(snapshot))
            found.execute(f"CREATE VIEW {quoted(name)} AS FROM {quoting.quoted(f'dataset:{name}')}")
        return found

    def rows_of(self, snapshot: Snapshot, names: Iterable[str]) -> str:
        """A relation of the rows in some files of a table, of its present version or not, for the FROM of a query."""
        place, files = snapshot.path, [unquote(name) for name in names]
        if isinstance(place, Path):
            listed = ", ".join(quoting.text(f"{place / name}") for name in files)
            return f"read_parquet([{listed}], union_by_name = true)"
        schema = pa.schema(snapshot.table.schema().to_arrow())
        part = parquet.data_set(place, files, schema)
        name = f"files:{snapshot.name}:{hash(tuple(files))}"
        self.connection.register(name, part)
        return quoting.quoted(name)

    def lock_down(self) -> None:
        """Limit queries to the tables and views of this connection.

        No file is read or written, no database attached but in memory, no extension loaded or installed, no Python
        variable used as a table, and no setting changed. This cannot be undone. Views that need one of these must be
        made before.
        """
        for setting in LOCKED:
            self.connection.execute(f"SET {setting}")

    def has(self, *names: str) -> bool:
        """Whether all of these tables (`<layer>.<table>`) exist."""
        return all(name in self.snapshots for name in names)

    def sql(self, query: str, parameters: list[object] | dict[str, object] | None = None) -> pa.Table:
        """Run a query to its end.

        Raises:
            UsageError: DuckDB refuses it.
        """
        try:
            relation = self.connection.sql(query, params=parameters or [])
            if relation is None:
                return pa.table({})
            _refuse_unreadable(relation)
            return relation.to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(f"the query fails: {error}", hint=self._hint()) from error

    def rows(self, query: str, parameters: list[object] | dict[str, object] | None = None) -> list[dict[str, object]]:
        """The rows of a query, as Python values."""
        return list(self.sql(query, parameters).to_pylist())

    def value(self, query: str, parameters: list[object] | dict[str, object] | None = None) -> object:
        """The first column of the only row."""
        (row,) = self.rows(query, parameters)
        return next(iter(row.values()))

    def _rows(self, snapshot: Snapshot) -> "pa.Table | ds.Dataset":
        """A table's rows. Of a data set each query opens and decodes the files again."""
        rows = snapshot.dataset()
        if not self._holds_small_tables or sum(snapshot.files.values()) > MOST_HELD:
            return rows
        try:
            return rows.to_table()
        except (OSError, pa.ArrowException):
            return rows  # a file that cannot be read is an error of the query that asks for its table, not of all

    def _hint(self) -> str:
        names = ", ".join(name if _PLAIN.fullmatch(name) else quoted(name) for name in sorted(self.snapshots))
        return f"one of the tables there are: {names or 'none yet, `correnteza demo` makes some'}"


_PLAIN = re.compile(r"[a-z]+\.[A-Za-z_][A-Za-z0-9_]*")


def quoted(name: str) -> str:
    """`<layer>.<table>`, quoted for SQL: `gold."my-table"`."""
    layer, _, table = name.partition(".")
    return f"{layer}.{quoting.quoted(table)}"


# Arrow has no such types: the first would lose its zone, the second its highest bit, the third its length.
_UNREADABLE = re.compile(r"TIME WITH TIME ZONE|\bUHUGEINT\b|\bBIT\b")


def _refuse_unreadable(relation: duckdb.DuckDBPyRelation) -> None:
    """Raises: UsageError when Arrow would change the values of a column."""
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if match := _UNREADABLE.search(str(kind).replace("TIMESTAMP WITH TIME ZONE", "")):
            raise UsageError(
                f"column {name} is {match[0]}, which cannot be read as it is",
                hint=f"read it as text: {quoting.quoted(name)}::VARCHAR",
            )
