"""Offsets of Delta's source, as Spark notes them in a checkpoint."""

import json
from collections.abc import Iterable
from typing import Any

Offset = dict[str, Any]
"""`reservoirVersion`, `index` of a file in it, and `isStartingVersion` during the first read of the whole table."""


def by_table(lines: Iterable[str]) -> dict[str, Offset]:
    """Table id → offset, of one batch.

    Args:
        lines: as `Checkpoint.planned` has them; what other sources or tables without rows gave is left out.
    """
    offsets = (json.loads(line) for line in lines if line != "-")
    return {offset["reservoirId"]: offset for offset in offsets if "reservoirId" in offset}
