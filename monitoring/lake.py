"""The lake's Delta tables as DuckDB views, read without a JVM."""

from collections.abc import Iterator, Mapping
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
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        for layer in LAYERS:
            self.connection.execute(f"CREATE SCHEMA {layer}")
        for name, snapshot in self.snapshots.items():
            self.connection.register(f"dataset:{name}", snapshot.dataset())
            self.connection.execute(f'CREATE VIEW {name} AS FROM "dataset:{name}"')

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
            return relation.to_arrow_table() if relation is not None else pa.table({})
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
        names = ", ".join(sorted(self.snapshots)) or "none yet, `correnteza demo` makes some"
        return f"one of the tables there are: {names}"


def tables(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and folder of every Delta table below the root that can be read."""
    for layer in LAYERS:
        for path in sorted((root / layer).glob("*/_delta_log")):
            if is_readable(path.parent):
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
