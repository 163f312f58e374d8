"""The cursor: what a source needs to continue, read from the compacted topic that its transactions write."""

import io
import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import cache
from typing import Any

import fastavro
from fastavro.schema import parse_schema

from foundation.errors import UnsafeState
from producers import committed, encode
from producers.chunk import CURSORS
from producers.encode import Message
from producers.model import Comparison, Cursor, Holding, PartState
from schemas import framing
from schemas.contracts import KEY_SEPARATOR, load

_READER = parse_schema(load(CURSORS).schema)


def message(cursor: Cursor, schema_id: int) -> Message:
    """The cursor as a Kafka message, keyed `source|resource`."""
    return encode.record(load(CURSORS), schema_id, asdict(cursor))


def read(
    bootstrap: str, topic: str, owners: Collection[str], schema_text: Callable[[int], str | None]
) -> dict[str, dict[str, Cursor]]:
    """The newest committed cursors, by owner (a source, or its backfill) and resource; the topic is read once for all.

    Only the newest record of a key is decoded: a year of 590 stations gives 590 records, each of which contains the one
        before.

    Raises:
        TransientError: as `committed.records`.
        UnsafeState: a cursor that cannot be read.
    """
    newest: dict[tuple[str, str], tuple[bytes | None, int]] = {}
    for record in committed.records(bootstrap, topic):
        owner, _, resource = (record.key or b"").decode().partition(KEY_SEPARATOR)
        if owner in owners:
            newest[owner, resource] = record.value, record.offset
    schema = cache(lambda schema_id: _writer(schema_id, schema_text))
    found: dict[str, dict[str, Cursor]] = {owner: {} for owner in owners}
    for (owner, resource), (value, offset) in newest.items():
        if value is not None:
            found[owner][resource] = _decode(value, schema, topic, offset)
    return found


def _writer(schema_id: int, schema_text: Callable[[int], str | None]) -> Any:
    text = schema_text(schema_id)
    if text is None:
        raise UnsafeState(f"a cursor was written with schema id {schema_id}, which the registry does not know")
    return parse_schema(json.loads(text))


def _decode(value: bytes, schema: Callable[[int], Any], topic: str, offset: int) -> Cursor:
    try:
        framed = framing.split(value)
        if framed is None:
            raise ValueError("not framed")
        schema_id, body = framed
        fields: Any = fastavro.schemaless_reader(io.BytesIO(body), schema(schema_id), _READER)
        parts = {key: PartState(**state) for key, state in fields.pop("parts").items()}
        comparisons = {
            key: Comparison(**{**comparison, "former": [Holding(**each) for each in comparison["former"]]})
            for key, comparison in fields.pop("comparisons").items()
        }
        known = [Holding(**each) for each in fields.pop("holdings")]
        return Cursor(**fields, parts=parts, comparisons=comparisons, holdings=known)
    except (ValueError, TypeError, IndexError, EOFError) as error:
        raise UnsafeState(f"{topic}, offset {offset}: not a cursor: {error}") from error
