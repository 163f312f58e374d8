"""What a rebuild would do, and how long it would take: read from the logs of the tables, without a JVM."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import UsageError
from foundation.files import replace_file
from schemas.contracts import CANARY
from sinks import tables
from storage import delta, files
from stream_jobs.bronze.job import bronze_contracts, table_name
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.model import discover as gold_tables
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.running.shadows import FOLDER, tables_of
from stream_jobs.silver.tables.model import discover as silver_tables


@dataclass(frozen=True)
class Planned:
    """What the rebuild of one query's tables reads and writes.

    Attributes:
        tables: that are swapped.
        inputs: tables that are read from their beginning; empty for bronze, which is read from Kafka.
        rows: of the inputs; withdrawals of all datasets are counted. For bronze, the rows that it holds now.
        bytes, files: of the tables as they are now. The new ones need about as much space, and the old ones stay for
            seven days.
        seconds: from the rate of the last rebuild of these tables, or else of their layer; None before any was
            measured.
        downstream: queries that read the tables.
    """

    query: str
    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    rows: int
    bytes: int
    files: int
    seconds: float | None
    downstream: tuple[str, ...]


def chosen(names: Sequence[str]) -> list[str]:
    """Queries for tables, datasets or layers, in the order of the data flow.

    Args: names: `bronze`, `silver`, `gold`, `all` (silver and gold), or `<layer>.<table>`; of a dataset's two silver
        tables either.

    Raises: UsageError for what cannot be rebuilt.
    """
    every = {"bronze": _bronze(), "silver": [f"silver.{name}" for name in silver_tables()], "gold": list(_gold())}
    in_order = [query for layer in every.values() for query in layer]
    every["all"] = [*every["silver"], *every["gold"]]
    found: set[str] = set()
    for name in names:
        if name in every:
            found |= set(every[name])
        elif (query := name.removesuffix("_revisions") if name.startswith("silver.") else name) in in_order:
            found.add(query)
        else:
            raise UsageError(f"no table {name} that a query fills", hint=f"one of: {', '.join(in_order)}")
    return [query for query in in_order if query in found]


def plan(places: Places, query: str) -> Planned:
    """The plan for one query."""
    inputs = inputs_of(query)
    # What Kafka holds is not counted: of a bronze table, what it holds now.
    rows = sum(size_of(places.table(name))[0] for name in inputs or (query,))
    own = [name for name in tables_of(query) if name != QUARANTINE]
    sizes = [size_of(places.table(name)) for name in own]
    rate = _rate(places, query)
    return Planned(
        query=query,
        tables=tuple(tables_of(query)),
        inputs=inputs,
        rows=rows,
        bytes=sum(size for _, size, _ in sizes),
        files=sum(files for _, _, files in sizes),
        seconds=None if rate is None else rows / rate,
        downstream=tuple(downstream([query])),
    )


def downstream(queries: Sequence[str]) -> list[str]:
    """Silver and gold queries that read what any of these queries write, directly or through others."""
    silver = [f"silver.{name}" for name, table in silver_tables().items() if {*queries} & {*table.reads}]
    filled = {f"{query}_revisions" for query in (*queries, *silver)}
    return [*silver, *(name for name, table in _gold().items() if filled & set(table.reads))]


def free_bytes(places: Places) -> int | None:
    """Free bytes on the disk of the lake; None in a store, which does not tell."""
    return files.free_bytes(places.lake)


def note_rate(places: Places, query: str, rows: int, seconds: float) -> None:
    """Store the rate at which a shadow was filled from its beginning."""
    if rows and seconds:
        _rates(places).parent.mkdir(parents=True, exist_ok=True)
        replace_file(_rates(places), json.dumps(_read(places) | {query: rows / seconds}, indent=1))


def _rate(places: Places, query: str) -> float | None:
    """Rows per second: of this query, or the slowest of its layer."""
    known = _read(places)
    layer = [rate for name, rate in known.items() if name.partition(".")[0] == query.partition(".")[0]]
    return known.get(query, min(layer, default=None))


def _read(places: Places) -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(_rates(places).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _rates(places: Places) -> Path:
    return places.checkpoints / FOLDER / "rates.json"


def size_of(path: str) -> tuple[int, int, int]:
    """Rows, bytes and files by a table's log; zeros where there is no table."""
    if not tables.exists(path):
        return 0, 0, 0
    actions = pa.table(delta.table(path).get_add_actions())
    rows, size = (pc.sum(actions[name]).as_py() or 0 for name in ("num_records", "size_bytes"))
    return int(rows), int(size), actions.num_rows


def inputs_of(query: str) -> tuple[str, ...]:
    """The tables that a query streams; none of bronze, whose input is a topic."""
    if query.startswith("bronze."):
        return ()
    name = query.partition(".")[2]
    return silver_tables()[name].reads if query.startswith("silver.") else _gold()[query].reads


def _bronze() -> list[str]:
    """All bronze queries but the canary's, whose old days are removed. The manifests come first, because they state
    what the others must hold."""
    contracts = sorted(bronze_contracts(), key=lambda contract: contract.is_dataset)
    return [table_name(contract) for contract in contracts if contract.name != CANARY]


def _gold() -> dict[str, GoldTable]:
    return {f"gold.{name}": table for name, table in gold_tables().items() if isinstance(table, GoldTable)}
