"""Arrow types for Avro schemas: parsers produce such columns, the encoder and the checks read them."""

from typing import Any

import pyarrow as pa

from schemas.contracts import Contract

_PRIMITIVES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
}


def arrow_type(avro: Any) -> tuple[pa.DataType, bool]:
    """The Arrow type of one Avro field type, and whether it is nullable.

    Raises:
        ValueError: a type the contracts do not use.
    """
    if isinstance(avro, list):
        if len(avro) != 2 or avro[0] != "null":
            raise ValueError(f"only unions of null and one type are used: {avro}")
        return arrow_type(avro[1])[0], True
    if isinstance(avro, str):
        return _PRIMITIVES[avro], False
    logical = avro.get("logicalType")
    if logical == "date":
        return pa.date32(), False
    if logical == "timestamp-micros":
        return pa.timestamp("us", tz="UTC"), False
    if logical == "decimal":
        return pa.decimal128(avro["precision"], avro["scale"]), False
    if avro["type"] == "map":
        return pa.map_(pa.string(), arrow_type(avro["values"])[0]), False
    raise ValueError(f"no Arrow type for {avro}")


def arrow_schema(contract: Contract) -> pa.Schema:
    """The Arrow schema of a contract's records, fields in order."""
    fields = []
    for field in contract.schema["fields"]:
        kind, nullable = arrow_type(field["type"])
        fields.append(pa.field(field["name"], kind, nullable=nullable))
    return pa.schema(fields)
