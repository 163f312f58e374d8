"""Gold computed from scratch by DuckDB, over the revisions that a test holds in memory."""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from monitoring.proof.checks.gold_definition import reference_tables
from monitoring.proof.checks.gold_sql import DEFINITIONS
from schemas.arrow import arrow_schema
from schemas.contracts import load
from tests.stream_jobs.gold.memory_silver import MemorySilver

REFERENCE = Path(__file__).parents[3] / "stream_jobs" / "reference"

Rows = dict[tuple[Any, ...], dict[str, Any]]


def from_scratch(name: str, silver: MemorySilver) -> Rows:
    """The whole table by its second definition: key → row."""
    (definition,) = (each for each in DEFINITIONS if each.table == name)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE SCHEMA silver")
        connection.execute(reference_tables(str(REFERENCE)))
        for dataset in definition.datasets:
            revisions = arrow(dataset, silver.rows[dataset])
            connection.register("arriving", revisions)
            connection.execute(f"CREATE TABLE silver.{dataset}_revisions AS FROM arriving")
        return keyed(definition.keys, connection.sql(definition.query).to_arrow_table().to_pylist())


def keyed(keys: tuple[str, ...], rows: list[dict[str, Any]]) -> Rows:
    """Key → row with comparable values. Raises: AssertionError when a key stands twice."""
    found = {
        tuple(row[key] for key in keys): {name: _plain(row[name]) for name in sorted(row) if name != "vintage"}
        for row in rows
    }
    assert len(found) == len(rows), "a key twice"
    return found


def content_hash(rows: Rows) -> str:
    """One hash of all rows, whatever their order."""
    return hashlib.sha256(repr(sorted((repr(key), repr(row)) for key, row in rows.items())).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Sums of floating-point numbers differ in their last bits between engines; nothing else may differ."""
    match value:
        case bool() | None | str():
            return value
        case float() | Decimal() | int():
            return float(f"{float(value):.9g}") + 0.0
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
    raise TypeError(f"no gold table has a {type(value)}")


def arrow(dataset: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Revisions as Arrow has them."""
    fields = [field.with_nullable(True) for field in arrow_schema(load(dataset))]
    place = [("known_from", pa.timestamp("us", "UTC")), ("kafka_partition", pa.int32()), ("kafka_offset", pa.int64())]
    place.append(("is_withdrawn", pa.bool_()))
    return pa.Table.from_pylist(rows, pa.schema([*fields, *place]))
