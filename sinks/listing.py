"""A Delta table at one version, as its log lists it. Neither Spark nor the files themselves are needed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from deltalake import DeltaTable

from foundation.errors import UnsafeState
from storage import delta


@dataclass(frozen=True)
class Listing:
    """One version of a table."""

    path: str
    table: DeltaTable

    @classmethod
    def of(cls, path: str, table: DeltaTable | None = None) -> Self:
        """The newest version. Raises: UnsafeState, when its rows do not follow from its files alone.

        Args: table: if it is open already; opening it reads its log.
        """
        table = delta.table(path) if table is None else table
        if table.protocol().min_reader_version > 1:
            raise UnsafeState(
                f"the table at {path} uses Delta features that this reader does not support",
                hint="rewrite it without deletion vectors and column mapping",
            )
        return cls(path, table)

    @property
    def version(self) -> int:
        """The version's number."""
        return int(self.table.version())

    @property
    def identity(self) -> str:
        """The id that the table got when it was created."""
        return str(self.table.metadata().id)

    @property
    def partition_columns(self) -> list[str]:
        """The columns whose values are in the names of folders, and not in files."""
        return list(self.table.metadata().partition_columns)

    @cached_property
    def with_statistics(self) -> list[str]:
        """The columns of which the log has statistics: those that the table names, or all.

        If a file has a count of nulls of a column and no bounds, Arrow leaves it out whatever is asked of the column.
        """
        configured = self.table.metadata().configuration.get("delta.dataSkippingStatsColumns")
        if configured is None:
            return [field.name for field in self.table.schema().fields]
        return [name for name in configured.split(",") if name]
