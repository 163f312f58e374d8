"""Topics that others own, for the checks: their records have no chunk, and their tombstones are withdrawals.

Written without the pipeline's code, as all of `verify`: which message keys say a key is defined here a second time.
"""

from typing import Any

from monitoring.proof.checks.model import Evidence, Outcome
from schemas.avro_types import kind_of, nullable, sole
from schemas.contracts import Contract
from schemas.external import External

_INSTANT = (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", "TIMESTAMPTZ")
_FORMS = {
    "int": (r"-?\d{1,9}", "INTEGER"),
    "long": (r"-?\d{1,18}", "BIGINT"),
    "boolean": ("true|false", "BOOLEAN"),
    "date": (r"\d{4}-\d\d-\d\d", "DATE"),
    "timestamp-millis": _INSTANT,
    "timestamp-micros": _INSTANT,
}
"""Avro type → the texts that say a value of it, and the SQL type of the value."""
_OF_RECORD = {
    "chunk_id": "VARCHAR",
    "published_at": "TIMESTAMPTZ",
    "published_at_basis": "VARCHAR",
    "row_number": "BIGINT",
}


def chunk_of(contract: Contract, record: str) -> str:
    """SQL for the chunk that a record of bronze came in; null where there is none."""
    return "NULL::VARCHAR" if contract.external else f"{record}.chunk_id"


def retrieved_at(contract: Contract) -> str:
    """SQL over a bronze table for when a record was retrieved: when Kafka took it, where we retrieve nothing."""
    return "kafka_timestamp" if contract.external else "record.retrieved_at"


def say_left_out(evidence: Evidence, outcome: Outcome, what: str) -> None:
    """Note the datasets that a check leaves out, because it goes by manifests."""
    for dataset, contract in evidence.datasets().items():
        if contract.external:
            outcome.notes.append(f"bronze.{dataset}: {what}, because topic {contract.topic} has no manifests")


def rows(contract: Contract, external: External, window: str) -> str:
    """SQL for a dataset's rows in bronze: the contract's fields, provenance, clock, place, `is_withdrawn`, `in_window`.

    Args: window: predicate for `in_window`.
    """
    is_gone = "decode_status = 'tombstone'"
    fields = {name: f'CASE WHEN NOT {is_gone} THEN record."{name}" END' for name in contract.fields}
    told = {name: _of_key(contract, external, name) for name in contract.key}
    fields |= {name: f'CASE WHEN {is_gone} THEN {value} ELSE record."{name}" END' for name, (value, _) in told.items()}
    clock = "kafka_timestamp" if external.is_by_kafka else f'record."{external.known_from}"'
    columns = [
        *(f'{value} AS "{name}"' for name, value in fields.items()),
        *(f"NULL::{kind} AS {name}" for name, kind in _OF_RECORD.items()),
        "kafka_timestamp AS retrieved_at",
        f"CASE WHEN {is_gone} THEN kafka_timestamp ELSE {clock} END AS known_from",
        'topic_id, topic, partition AS kafka_partition, "offset" AS kafka_offset',
        f"{is_gone} AS is_withdrawn, {window} AS in_window",
    ]
    is_whole = " AND ".join(f"({is_said})" for _, is_said in told.values())
    return f"""
        SELECT {", ".join(columns)} FROM (
            SELECT *, TRY(decode(key)) AS said FROM bronze.{contract.name}) b
        WHERE decode_status = 'ok' OR ({is_gone} AND {is_whole})"""


def _of_key(contract: Contract, external: External, name: str) -> tuple[str, str]:
    """SQL for a field of the key from `said`, a message key's text, and for whether the text says it."""
    number, fields = contract.key.index(name) + 1, len(contract.key)
    avro = contract.types[name]
    may_lack = nullable(avro)
    if external.key_format == "avro":
        value = f'key_record."{name}"'
        is_null = f"(key_record IS NOT NULL AND {value} IS NULL)"
        return value, f"({value} IS NOT NULL{f' OR {is_null}' if may_lack else ''})"
    if external.key_format == "json":
        text = f"CASE WHEN json_valid(said) THEN json_extract_string(said, '$.\"{name}\"') END"
        is_empty = f"json_valid(said) AND {text} IS NULL"
    else:
        text = (
            "said"
            if fields == 1
            else f"CASE WHEN len(split(said, '|')) = {fields} THEN split_part(said, '|', {number}) END"
        )
        is_empty = f"{text} = ''"
    value = _value(sole(avro), f"nullif({text}, '')" if may_lack else text)
    return value, f"coalesce({value} IS NOT NULL{f' OR ({is_empty})' if may_lack else ''}, false)"


def _value(avro: Any, text: str) -> str:
    if kind_of(avro) not in _FORMS:
        return f"({text})"
    form, sql_type = _FORMS[kind_of(avro)]
    return f"(CASE WHEN regexp_full_match({text}, '{form}') THEN TRY_CAST({text} AS {sql_type}) END)"
