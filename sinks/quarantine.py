"""`silver.quarantine`: rows that decode but break an expectation, or contradict a stored version."""

import base64
import json
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from deltalake import Transaction
from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, StringType, StructType

from foundation import quoting
from schemas.classes import PERSONAL, TECHNICAL
from sinks import sql, tables
from sinks.arrow_commit import append
from sinks.replace_rows import replace_rows
from sinks.snapshot import Snapshot

NAME = "quarantine"
CONFLICT = "conflicting_version"
"""The rule name of a row that contradicts the version with the same (key, known_from)."""

_PLACE = ("topic", "kafka_partition", "kafka_offset")
RECORD = ("topic_id", *_PLACE, "chunk_id")
"""The columns that identify the record of an entry; `is_of` compares them."""

SCHEMA = (
    StructType()
    .add("dataset", "string")
    .add("key", "string")
    .add("rules", ArrayType(StringType()))
    .add("record", "string")
    .add("known_from", "timestamp")
    .add("topic", "string")
    .add("kafka_partition", "integer")
    .add("kafka_offset", "long")
    .add("chunk_id", "string")
    .add("topic_id", "string")
)

CLASSES = {name: PERSONAL if name in ("key", "record") else TECHNICAL for name in SCHEMA.names}
"""Column → class. It holds rows of any dataset: whatever a source sent."""


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table: one partition per dataset, so that the datasets' queries never conflict.

    A table of an older release gets the column `topic_id`, which is null in its old rows.
    """
    tables.ensure(
        spark, path, SCHEMA, partition_by=("dataset",), statistics_on=("known_from", "kafka_offset", "chunk_id")
    )


def conflicting(rows: pa.Table) -> pa.Table:
    """The classified rows that contradict a version, with the rule name for it."""
    rule = f"[{quoting.text(CONFLICT)}] AS rules"
    return sql.table(f"SELECT *, {rule} FROM rows WHERE outcome = 'conflicting'", rows=rows)


def entries(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Rows in the form of the table.

    Args:
        rows: with `key`, `rules` (names of what each broke), `topic`, `topic_id` and the columns.
        columns: of the row itself, kept as JSON.
    """
    maps = frozenset(name for name in columns if pa.types.is_map(rows.schema.field(name).type))
    records = pa.array([_json(row, maps) for row in rows.select(columns).to_pylist()], pa.string())
    return rows.select(["key", "rules", "known_from", *RECORD]).append_column("record", records)


def is_of(entry: str, row: str) -> str:
    """SQL: whether an entry belongs to a row. Args: two aliases of tables with the columns `RECORD`.

    A recreated topic uses the same places again. For entries without a topic id the chunk identifies the record.
    """
    at_place = [f"{entry}.{name} = {row}.{name}" for name in _PLACE]
    in_chunk = f"{entry}.chunk_id IS NOT DISTINCT FROM {row}.chunk_id"
    told = f"CASE WHEN {entry}.topic_id IS NULL THEN {in_chunk} ELSE {entry}.topic_id = {row}.topic_id END"
    return " AND ".join((*at_place, told))


def held(table: Snapshot, dataset: str) -> pa.Table:
    """The entries of a dataset: the columns `RECORD`, `rules` and `FILE`."""
    columns = [name for name in (*RECORD, "rules") if name in table.arrow_schema.names]
    return table.scan(columns, [("dataset", "=", dataset)]).read_all()


def add(rows: pa.Table, path: str, *, dataset: str, once: Transaction | None = None) -> None:
    """Append the rows that the table does not hold: each record once, even if all of bronze is read again.

    Args:
        rows: the table's columns but `dataset`.
        once: as of `append`.
    """
    fresh = sql.table(
        f"SELECT r.*, {quoting.text(dataset)} AS dataset FROM rows r ANTI JOIN held q ON {is_of('q', 'r')}",
        rows=rows,
        held=held(Snapshot.of(path), dataset),
    )
    append(fresh, path, once=once)


def release(rows: pa.Table, path: str, *, dataset: str) -> None:
    """Remove the entries of these rows that are there for a conflict, because they no longer conflict.

    Args:
        rows: with the columns `RECORD`.
    """
    table = Snapshot.of(path)
    gone = sql.table(
        f"""
        SELECT q.* FROM held q SEMI JOIN rows r ON {is_of("q", "r")}
        WHERE list_contains(q.rules, {quoting.text(CONFLICT)})
        """,
        held=held(table, dataset),
        rows=rows,
    )
    replace_rows(table, gone=gone, keys=RECORD)


def _json(row: dict[str, Any], maps: Collection[str]) -> str:
    """A row as one JSON object without its nulls; numbers keep every digit. Args: maps: columns of maps."""
    told = {name: dict(value) if name in maps and value is not None else value for name, value in row.items()}
    fields = (f"{json.dumps(name)}:{_value(value)}" for name, value in told.items() if value is not None)
    return "{" + ",".join(fields) + "}"


def _value(value: Any) -> str:
    plain = value
    match value:
        case Decimal():
            return format(value, "f")
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return (
                "{"
                + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {_value(each)}" for name, each in value.items())
                + "}"
            )
        case datetime():
            plain = value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date():
            plain = value.isoformat()
        case bytes():
            plain = base64.b64encode(value).decode()
    return json.dumps(plain, ensure_ascii=False)
