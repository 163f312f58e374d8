"""Arrow types for Avro schemas: parsers produce such columns, the encoder and the checks read them."""

from typing import Any

import pyarrow as pa

from schemas.avro_types import kind_of, nullable, sole
from schemas.contracts import Contract

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "enum": pa.string(),
    "uuid": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
    "date": pa.date32(),
    "timestamp-micros": pa.timestamp("us", tz="UTC"),
    "timestamp-millis": pa.timestamp("us", tz="UTC"),
}


def arrow_type(avro: Any) -> tuple[pa.DataType, bool]:
    """The Arrow type of one Avro field type, whose named types stand in full, and whether it is nullable.

    Raises:
        ValueError: a type the contracts do not use.
    """
    one = sole(avro)
    if one is None:
        raise ValueError(f"only unions of null and one type are used: {avro}")
    return _type(one), nullable(avro)


def _type(avro: Any) -> pa.DataType:
    match kind_of(avro):
        case "decimal":
            return pa.decimal128(avro["precision"], avro.get("scale", 0))
        case "map":
            return pa.map_(pa.string(), arrow_type(avro["values"])[0])
        case "array":
            return pa.list_(arrow_type(avro["items"])[0])
        case "record":
            return pa.struct([pa.field(each["name"], arrow_type(each["type"])[0]) for each in avro["fields"]])
        case kind if kind in _TYPES:
            return _TYPES[kind]
    raise ValueError(f"no Arrow type for {avro}")


def arrow_schema(contract: Contract) -> pa.Schema:
    """The Arrow schema of a contract's records, fields in order."""
    fields = []
    for name, avro in contract.types.items():
        kind, may_be_null = arrow_type(avro)
        fields.append(pa.field(name, kind, nullable=may_be_null))
    return pa.schema(fields)
