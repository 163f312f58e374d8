"""The size of the tables, per layer and per table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.web import words
from monitoring.web.sections import LAYERS, Document


@dataclass(frozen=True)
class Stored:
    """A row of the table of sizes."""

    name: str
    files: str
    size: str
    log_files: str


def lake(document: Document) -> tuple[tuple[Stored, ...], tuple[Stored, ...]]:
    """Sums per layer, and every table, the largest first."""
    tables = [each for each in document.get("tables", []) if isinstance(each.get("bytes"), int | float)]
    by_layer: dict[str, list[Mapping[str, Any]]] = {}
    for each in tables:
        by_layer.setdefault(str(each.get("table")).partition(".")[0], []).append(each)
    ordered = sorted(by_layer, key=lambda name: LAYERS.index(name) if name in LAYERS else len(LAYERS))
    sums = [_stored(f"{name}, {words.counted(len(by_layer[name]), 'table')}", by_layer[name]) for name in ordered]
    if len(sums) > 1:
        sums.append(_stored(f"all, {words.counted(len(tables), 'table')}", tables))
    rows = [_stored(str(each.get("table")), [each]) for each in sorted(tables, key=lambda each: -each["bytes"])]
    return tuple(sums), tuple(rows)


def _stored(name: str, tables: Sequence[Mapping[str, Any]]) -> Stored:
    def total(field: str) -> float:
        return sum(each.get(field) or 0 for each in tables)

    return Stored(
        name,
        words.number(total("files")),
        words.size(total("bytes")),
        words.number(total("log_files")),
    )
