"""Confluent's framing of a record's value: a zero byte, the id of the writer's schema, the Avro bytes."""

import struct

HEADER_BYTES = 5

_HEADER = struct.Struct(">bI")
_MAGIC = 0


def header(schema_id: int) -> bytes:
    """The bytes before the Avro bytes."""
    return _HEADER.pack(_MAGIC, schema_id)


def split(value: bytes) -> tuple[int, bytes] | None:
    """Schema id and Avro bytes; None for a value that is not framed."""
    if len(value) < HEADER_BYTES:
        return None
    magic, schema_id = _HEADER.unpack_from(value)
    return (schema_id, value[HEADER_BYTES:]) if magic == _MAGIC else None
