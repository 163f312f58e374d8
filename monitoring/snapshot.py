"""The lake's Delta tables, each at one version, read with delta-rs and Arrow, without a database.

`correnteza status` only needs the logs, and a person waits for it. So Arrow's row readers are imported only by
functions that read rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from foundation.errors import UsageError
from schemas.contracts import CANARY_TABLE
from storage import delta, files
from storage.location import Location

if TYPE_CHECKING:
    import pyarrow.dataset as ds

# Downstream first: a table that is read later is never older than a table that is made from it.
LAYERS = ("marts", "gold", "silver", "bronze", "ops")


@dataclass(frozen=True)
class Snapshot:
    """One version of one table.

    Attributes:
        name: `<layer>.<table>`.
        version: the version to read; None means the newest when the snapshot is first read.
    """

    name: str
    path: Location
    version: int | None = None

    @cached_property
    def table(self) -> DeltaTable:
        """The Delta table, at this version."""
        return delta.table(self.path, self.version)

    @property
    def layer(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]

    @property
    def log_files(self) -> int:
        """Files of its log, checkpoints included, as they are now."""
        return sum(name.endswith((".json", ".parquet")) for name in files.names(self.path / "_delta_log"))

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
        """Data files in the log that are missing or have another size."""
        found = files.sizes(self.path, self.files)
        return sorted(name for name, size in self.files.items() if found.get(name) != size)

    def greatest(self, column: str) -> Any:
        """A column's greatest value by the files' statistics; None when a file with rows lacks them."""
        name = f"max.{column}"
        if name not in self._actions.column_names:
            return None
        values = self._actions[name]
        return None if values.null_count else max(values.to_pylist(), default=None)

    def greatest_read(self, column: str) -> Any:
        """A column's greatest value by reading it, a batch at a time; None for a table without rows."""
        import pyarrow.compute as pc

        found = [pc.max(batch[column]) for batch in self.dataset().to_batches(columns=[column])]
        return pc.max(pa.array(found)).as_py() if found else None

    def dataset(self) -> "ds.Dataset":
        """The rows of the existing files, so that a lost file appears as lost rows and not as an I/O error."""
        import pyarrow.dataset as ds

        whole = self.table.to_pyarrow_dataset(filesystem=delta.filesystem(self.path))
        if not self.damaged_files:
            return whole
        lost = set(self.damaged_files)
        fragments = [part for part in whole.get_fragments() if unquote(part.path) not in lost]
        filesystem = fragments[0].filesystem if fragments else None
        return ds.FileSystemDataset(fragments, whole.schema, ds.ParquetFileFormat(), filesystem)


def snapshots(root: Location, versions: Mapping[str, int] | None = None) -> dict[str, Snapshot]:
    """Every table that can be read, by name (`<layer>.<table>`); without the canary's tables.

    Args:
        root: holds `<layer>/<table>`.
        versions: name → the version to read; others are read at their newest.

    Raises:
        UsageError: two table names differ only in upper and lower case.
    """
    versions = versions or {}
    found = {name: Snapshot(name, path, versions.get(name)) for name, path in _tables(root)}
    _refuse_likeness(found)
    for snapshot in found.values():
        _ = snapshot.table  # its version is chosen now, in this order
    return found


def _refuse_likeness(names: Iterable[str]) -> None:
    """Raises: UsageError for two table names that differ only in upper and lower case: in SQL they are the same."""
    known: dict[str, str] = {}
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            raise UsageError(f"the lake holds {other} and {name}, which SQL cannot tell apart", hint="move one of them")


def _tables(root: Location) -> Iterator[tuple[str, Location]]:
    for layer in LAYERS:
        for name in files.folders(root / layer):
            if name != CANARY_TABLE and _is_readable(root / layer / name):
                yield f"{layer}.{name}", root / layer / name


def _is_readable(path: Location) -> bool:
    """Whether there is a Delta table with at least one commit; its first commit may not be finished."""
    try:
        return delta.exists(path)
    except DeltaError:
        return False
