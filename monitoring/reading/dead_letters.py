"""`ops.dead_letters`: every record that did not decode and every quarantined row, with its state.

A view over bronze, `silver.quarantine` and the closing records: so it always agrees with them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from monitoring import quarantine
from monitoring.lag.status import bronze_table
from monitoring.lake import Lake
from monitoring.proof.checks.external import chunk_of
from monitoring.proof.checks.model import Rule, broken_rules
from monitoring.undecodable import UNDECODABLE
from schemas.contracts import load_all

VIEW = "ops.dead_letters"

CONFLICT = "conflicting_version"
"""Rule of a row that contradicts a version with the same key and instant. It does not depend on the release."""

_CLOSINGS = "bronze.ingest_redrives"

# The order is that of the columns in each part of the union.
_COLUMNS = {
    "entry": "VARCHAR",
    "dataset": "VARCHAR",
    "topic_id": "VARCHAR",
    "partition": "INTEGER",
    "offset": "BIGINT",
    "reason": "VARCHAR",
    "rules": "VARCHAR[]",
    "problem": "VARCHAR",
    "schema_id": "BIGINT",
    "arrived_at": "TIMESTAMPTZ",
    "key": "BLOB",
    "value": "BLOB",
    "row": "VARCHAR",
}

_CLOSING_COLUMNS = {
    "dataset": "VARCHAR",
    "topic_id": "VARCHAR",
    "partition": "INTEGER",
    "offset": "BIGINT",
    "action": "VARCHAR",
    "closed_at": "TIMESTAMPTZ",
    "note": "VARCHAR",
    "new_partition": "INTEGER",
    "new_offset": "BIGINT",
}


def register(lake: Lake) -> None:
    """Make the view in a lake's connection.

    Its columns: `entry` is `<topic>/<partition>/<offset>`; `reason` a decode status or the rules broken; `problem` the
    field of a JSON value that does not fit, and why; `value` the bytes of a record that did not decode; `row` the JSON
    of one that did; `state` is open, redriven or discarded; `copy` is the place of the copy of a redriven one.
    """
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in _COLUMNS.items())
    parts = [f"SELECT {columns} WHERE false", *_parts(lake)]
    lake.connection.execute(
        f"""
        CREATE OR REPLACE VIEW {VIEW} AS
        SELECT l.*, coalesce(c.action, 'open') AS state, c.closed_at, c.note,
               regexp_extract(l.entry, '^[^/]*') || '/' || c.new_partition || '/' || c.new_offset AS copy
        FROM ({" UNION ALL ".join(parts)}) l
        LEFT JOIN ({_closings(lake)}) c USING (dataset, topic_id, partition, "offset")"""
    )


def _parts(lake: Lake) -> list[str]:
    statuses = ", ".join(f"'{status}'" for status in UNDECODABLE)
    parts = []
    for name, contract in load_all().items():
        table = f"bronze.{bronze_table(contract)}"
        if not lake.has(table):
            continue
        place = "b.topic || '/' || b.partition || '/' || b.\"offset\""
        first = f"SELECT {place}, '{name}', b.topic_id, b.partition, b.\"offset\""
        parts.append(
            f"{first}, b.decode_status, NULL, {_problem(lake, table)}, b.schema_id, b.kafka_timestamp, b.key, b.value,"
            f" NULL FROM {table} b WHERE b.decode_status IN ({statuses})"
        )
        if contract.is_dataset and lake.has(quarantine.TABLE):
            here = quarantine.is_of(
                "q", "b.partition", 'b."offset"', topic_id="b.topic_id", chunk_id=chunk_of(contract, "b.record")
            )
            parts.append(
                f"{first}, array_to_string(q.rules, ', '), q.rules, NULL, b.schema_id, b.kafka_timestamp, b.key, NULL,"
                f" q.record FROM {quarantine.entries(lake)} q JOIN {table} b ON b.topic = q.topic"
                f" AND {here} AND b.decode_status = 'ok'"
                f" WHERE q.dataset = '{name}'"
            )
    return parts


def _problem(lake: Lake, table: str) -> str:
    """SQL for why a value did not decode, where bronze says it."""
    columns = {field.name for field in lake.snapshots[table].table.schema().fields}
    return "b.problem" if "problem" in columns else "NULL"


def _closings(lake: Lake) -> str:
    if not lake.has(_CLOSINGS):
        nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in _CLOSING_COLUMNS.items())
        return f"SELECT {nothing} WHERE false"
    columns = ", ".join(f'record."{name}" AS "{name}"' for name in _CLOSING_COLUMNS)
    # The first closing record counts; `verify` reports a second one.
    return (
        f"SELECT {columns} FROM {_CLOSINGS} WHERE decode_status = 'ok' QUALIFY row_number() OVER"
        ' (PARTITION BY record.dataset, record.topic_id, record.partition, record."offset" ORDER BY "offset") = 1'
    )


def records(lake: Lake, dataset: str, places: Sequence[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """The decoded fields of bronze rows, by name, in the order of their places.

    Args:
        places: (topic id, partition, offset).
    """
    _register_places(lake, places)
    rows = lake.rows(
        f"SELECT b.record AS record FROM places p JOIN bronze.{dataset} b"
        ' ON b.topic_id = p.topic_id AND b.partition = p.partition AND b."offset" = p."offset" ORDER BY p.n'
    )
    return [_with_dicts(row["record"]) for row in rows]


def still_broken(
    lake: Lake, dataset: str, places: Sequence[tuple[str, int, int]], rules: Sequence[Rule]
) -> list[list[str]]:
    """The rules that rows of bronze break as they are declared today, in the order of their places."""
    _register_places(lake, places)
    found = lake.rows(
        f"SELECT {broken_rules(rules)} AS broken FROM"
        f" (SELECT p.n AS n, unnest(b.record) FROM places p JOIN bronze.{dataset} b"
        ' ON b.topic_id = p.topic_id AND b.partition = p.partition AND b."offset" = p."offset") ORDER BY n'
    )
    return [list(row["broken"]) for row in found]  # type: ignore[call-overload]  # DuckDB gives lists


def schema_text(lake: Lake, schema_id: int) -> str | None:
    """A writer's schema from `ops.schemas`, as bronze uses it to decode."""
    if not lake.has("ops.schemas"):
        return None
    found = lake.rows("SELECT schema FROM ops.schemas WHERE schema_id = ? LIMIT 1", [schema_id])
    return str(found[0]["schema"]) if found else None


def _register_places(lake: Lake, places: Sequence[tuple[str, int, int]]) -> None:
    topic_ids, partitions, offsets = zip(*places, strict=True) if places else ((), (), ())
    lake.connection.register(
        "places",
        pa.table(
            {
                "n": pa.array(range(len(places)), pa.int64()),
                "topic_id": pa.array(topic_ids, pa.string()),
                "partition": pa.array(partitions, pa.int32()),
                "offset": pa.array(offsets, pa.int64()),
            }
        ),
    )


def _with_dicts(record: Any) -> dict[str, Any]:
    """Arrow gives a map as its entries."""
    fields: Mapping[str, Any] = record
    return {name: dict(value) if isinstance(value, list) else value for name, value in fields.items()}
