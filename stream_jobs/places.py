"""Paths: of the tables below the lake, and of the files that belong to one machine."""

from dataclasses import dataclass
from pathlib import Path

from sinks.tables import path_of

QUARANTINE = "silver.quarantine"
EXPECTATIONS = "ops.expectations"
SCHEMAS = "ops.schemas"


@dataclass(frozen=True)
class Places:
    """The roots.

    Attributes:
        lake: of the Delta tables; any address that Spark and delta-rs read.
        checkpoints: `<layer>.<table>/g<generation>`, on a local durable disk: on an object store
            every batch would wait for it.
        locks: of the table locks.
    """

    lake: str
    checkpoints: Path
    locks: Path

    def table(self, name: str) -> str:
        """Path of a table named `<layer>.<table>`."""
        return path_of(self.lake, name)

    def checkpoint(self, query: str) -> Path:
        """Folder of a query's guard and of its checkpoints, one per generation."""
        return self.checkpoints / query
