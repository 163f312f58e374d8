"""What the bytes of a record say, by `fastavro`: the readers of the check that compares them with bronze."""

import io
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro

from monitoring.proof.checks.model import Evidence
from schemas.avro_types import kind_of, sole
from schemas.contracts import Contract

HEADER_BYTES = 5
"""Of Confluent's framing."""


class Reader:
    """What a contract makes of a record's bytes.

    Attributes:
        is_json: whether values are JSON and name no schema.
        schema: with whole numbers in place of days and instants; None if it is not needed.
        aliases: field → its names in records of others.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.is_json = contract.external is not None and contract.external.value_format == "json"
        self._types = contract.types
        self._defaults = {field["name"]: field.get("default") for field in contract.schema["fields"]}
        self.aliases = {field["name"]: field.get("aliases", []) for field in contract.schema["fields"]}
        is_resolved = contract.external is not None and not self.is_json
        self.schema = fastavro.parse_schema(_without_dates(contract.schema)) if is_resolved else None

    def expected(self, decoded: Mapping[str, Any], name: str) -> Any:
        """What bronze should hold of a field: instants in microseconds. Args: name: of a column of `record`."""
        value = decoded.get(name, self._defaults.get(name))
        return value if self.schema is None or name not in self._types else _in_micros(value, self._types[name])


def _in_micros(value: Any, avro: Any) -> Any:
    one = sole(avro)
    if value is None:
        return None
    match kind_of(one):
        case "timestamp-millis":
            return value * 1000
        case "record":
            return {each["name"]: _in_micros(value[each["name"]], each["type"]) for each in one["fields"]}
        case "array":
            return [_in_micros(each, one["items"]) for each in value]
        case "map":
            return {name: _in_micros(each, one["values"]) for name, each in value.items()}
    return value


class Schemas:
    """Writers' schemas by id, as the lake keeps them."""

    def __init__(self, evidence: Evidence) -> None:
        stored = "SELECT schema_id, schema FROM ops.schemas"
        rows = evidence.lake.rows(stored) if evidence.lake.has("ops.schemas") else []
        self._texts = {row["schema_id"]: str(row["schema"]) for row in rows}

    @cache  # noqa: B019  # lives as long as one check
    def get(self, schema_id: int) -> Any:
        """The schema with dates and instants as whole numbers; None if the lake does not have it."""
        text = self._texts.get(schema_id)
        if text is None:
            return None
        return fastavro.parse_schema(_without_dates(json.loads(text)))


def _without_dates(avro: Any) -> Any:
    """A schema whose logical types are decimals only, at any depth."""
    if isinstance(avro, list):
        return [_without_dates(branch) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    if avro.get("logicalType", "decimal") != "decimal":
        return avro["type"]
    inner = {name: _without_dates(avro[name]) for name in ("items", "values", "type") if name in avro}
    if "fields" in avro:
        inner["fields"] = [{**field, "type": _without_dates(field["type"])} for field in avro["fields"]]
    return {**avro, **inner}


def schema_id_of(value: bytes | None) -> int | None:
    """The id in the framing; None if there is no framing."""
    value = value or b""
    return int.from_bytes(value[1:HEADER_BYTES]) if value[:1] == b"\0" and len(value) >= HEADER_BYTES else None


def key_of(key: bytes, schemas: Schemas, contract: Contract) -> dict[str, Any] | None:
    """The contract's key in a message key in Avro; None where there is none."""
    schema_id = schema_id_of(key)
    schema = None if schema_id is None else schemas.get(schema_id)
    if schema is None:
        return None
    try:
        said: Any = fastavro.schemaless_reader(io.BytesIO(key[HEADER_BYTES:]), schema)
        if not isinstance(said, dict):
            said = dict(zip(contract.key, [said], strict=True))
        aliases = {field["name"]: (field["name"], *field.get("aliases", ())) for field in contract.schema["fields"]}
        found = {name: next(said[each] for each in aliases[name] if each in said) for name in contract.key}
    except Exception:  # any error of the reader means that the bytes say no key
        return None
    return {name: _in_micros(value, contract.types[name]) for name, value in found.items()}
