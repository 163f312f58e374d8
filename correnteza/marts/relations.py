"""What the models write: tables of the schema `marts`, and nothing that the streaming driver owns."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from foundation.errors import UsageError

SCHEMA = "marts"
WRITING = ("model", "seed", "snapshot")
"""Kinds of nodes that make a table."""


def require_own(nodes: Iterable[Any], folder: Path) -> None:
    """Refuse a project that could write elsewhere.

    Args:
        nodes: of dbt's manifest.
        folder: of the marts' tables.

    Raises: UsageError, naming each model.
    """
    wrong = [*_elsewhere(nodes, folder)]
    if wrong:
        raise UsageError("; ".join(wrong), hint=f"a model writes one table of the schema {SCHEMA}, and has no hooks")


def _elsewhere(nodes: Iterable[Any], folder: Path) -> Iterator[str]:
    for node in nodes:
        if node.resource_type == "operation":
            yield f"{node.name} is a statement at the start or end of a run: its writes cannot be judged"
        if node.resource_type not in WRITING:
            continue
        if node.schema != SCHEMA:
            yield f"{node.name} would write {node.schema}.{node.alias}, which streams own"
        if node.config.get("location_root") != str(folder):
            yield f"{node.name} has its files elsewhere than in {folder}"
        if node.config.pre_hook or node.config.post_hook:
            yield f"{node.name} has hooks: their writes cannot be judged"
