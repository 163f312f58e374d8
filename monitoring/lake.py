"""The lake's Delta tables as DuckDB views, read without a JVM."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from foundation.errors import UsageError
from schemas.contracts import CANARY_TABLE

# Downstream first: a table read later is never older than what was made from it.
LAYERS = ("gold", "silver", "bronze", "ops")


@dataclass(frozen=True)
class Snapshot:
    """One version of one table.

    Attributes:
        name: `<layer>.<table>`.
        version: pinned; None is the newest when the snapshot is first read.
    """

    name: str
    path: Path
    version: int | None = None

    @cached_property
    def table(self) -> DeltaTable:
        """The Delta table, at this version."""
        return DeltaTable(str(self.path), version=self.version)

    @property
    def table_id(self) -> str:
        """Delta's own id of the table, by which a checkpoint names its source."""
        return str(self.table.metadata().id)

    @cached_property
    def _actions(self) -> pa.Table:
        return pa.table(self.table.get_add_actions(flatten=True))

    @cached_property
    def files(self) -> dict[str, int]:
        """Data file, relative to the table → size in bytes, as the Delta log has them."""
        paths = [unquote(path) for path in self._actions["path"].to_pylist()]
        return dict(zip(paths, self._actions["size_bytes"].to_pylist(), strict=True))

    @cached_property
    def damaged_files(self) -> list[str]:
        """Files of the log that are not there, or not as long as it says."""
        return sorted(name for name, size in self.files.items() if not _is_whole(self.path / name, size))

    def greatest(self, column: str) -> Any:
        """A column's greatest value by the files' statistics; None when a file with rows lacks them."""
        name = f"max.{column}"
        if name not in self._actions.column_names:
            return None
        values = self._actions[name]
        return None if values.null_count else pc.max(values).as_py()

    def greatest_read(self, column: str) -> Any:
        """The same by reading the column, a batch at a time; None for a table without rows."""
        found = [pc.max(batch[column]) for batch in self.dataset().to_batches(columns=[column])]
        return pc.max(pa.array(found)).as_py() if found else None

    def dataset(self) -> ds.Dataset:
        """The rows of the files that are there, so that a lost file shows as lost rows and not as an I/O error."""
        whole = self.table.to_pyarrow_dataset()
        if not self.damaged_files:
            return whole
        lost = set(self.damaged_files)
        fragments = [part for part in whole.get_fragments() if unquote(part.path) not in lost]
        filesystem = fragments[0].filesystem if fragments else None
        return ds.FileSystemDataset(fragments, whole.schema, ds.ParquetFileFormat(), filesystem)


class Lake:
    """A read-only look at the tables below one root, through DuckDB.

    Args:
        root: holds `<layer>/<table>`.
        versions: `<layer>.<table>` → the version to read; others are read at their newest.
    """

    def __init__(self, root: Path, versions: Mapping[str, int] | None = None) -> None:
        versions = versions or {}
        self.snapshots = {name: Snapshot(name, path, versions.get(name)) for name, path in tables(root)}
        _refuse_likeness(self.snapshots)
        for snapshot in self.snapshots.values():
            _ = snapshot.table  # its version is chosen now, in this order

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB with the tables as views; made at the first query, for whom the logs are enough needs none."""
        found = duckdb.connect()
        found.execute("SET TimeZone = 'UTC'")
        for layer in LAYERS:
            found.execute(f"CREATE SCHEMA {layer}")
        for name, snapshot in self.snapshots.items():
            found.register(f"dataset:{name}", snapshot.dataset())
            found.execute(f"CREATE VIEW {quoted(name)} AS FROM {_identifier(f'dataset:{name}')}")
        return found

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

    def _hint(self) -> str:
        names = ", ".join(name if _PLAIN.fullmatch(name) else quoted(name) for name in sorted(self.snapshots))
        return f"one of the tables there are: {names or 'none yet, `correnteza demo` makes some'}"


_PLAIN = re.compile(r"[a-z]+\.[A-Za-z_][A-Za-z0-9_]*")


def _refuse_likeness(names: Iterable[str]) -> None:
    """Raises: UsageError for two tables that only capitals tell apart: to SQL they are one."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            raise UsageError(f"the lake holds {other} and {name}, which SQL cannot tell apart", hint="move one of them")


def quoted(name: str) -> str:
    """`<layer>.<table>` as SQL has it, whatever stands in the table's name: `gold."my-table"`."""
    layer, _, table = name.partition(".")
    return f"{layer}.{_identifier(table)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# Arrow has no such types: the first loses its zone on the way, the second its greatest bit, the third its length.
_UNREADABLE = re.compile(r"TIME WITH TIME ZONE|\bUHUGEINT\b|\bBIT\b")


def _refuse_unreadable(relation: duckdb.DuckDBPyRelation) -> None:
    """Raises: UsageError when a column would arrive as another value than the query gave."""
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if match := _UNREADABLE.search(str(kind).replace("TIMESTAMP WITH TIME ZONE", "")):
            raise UsageError(
                f"column {name} is {match[0]}, which cannot be read as it is",
                hint=f"read it as text: {_identifier(name)}::VARCHAR",
            )


def tables(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of every Delta table below the root that can be read; the canary's are no answer to anybody."""
    for layer in LAYERS:
        for path in sorted((root / layer).glob("*/_delta_log")):
            if path.parent.name != CANARY_TABLE and is_readable(path.parent):
                yield f"{layer}.{path.parent.name}", path.parent


def is_readable(path: Path) -> bool:
    """Whether a Delta table with at least one commit stands there; its first commit may be under way."""
    try:
        return bool(DeltaTable.is_deltatable(str(path)))
    except DeltaError:
        return False


def _is_whole(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except FileNotFoundError:
        return False
