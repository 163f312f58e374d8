"""The columns of bronze and silver tables, derived from the contracts."""

from typing import Any

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructType,
    TimestampType,
)

from schemas.avro_types import kind_of, sole
from schemas.classes import TECHNICAL, strictest
from schemas.contracts import Contract
from schemas.external import AVRO, JSON

_TYPES: dict[str, DataType] = {
    "string": StringType(),
    "enum": StringType(),
    "uuid": StringType(),
    "long": LongType(),
    "int": IntegerType(),
    "float": FloatType(),
    "double": DoubleType(),
    "boolean": BooleanType(),
    "bytes": BinaryType(),
    "fixed": BinaryType(),
    "date": DateType(),
    "timestamp-micros": TimestampType(),
    "timestamp-millis": TimestampType(),
}

# The clocks of a silver row and its place in Kafka, after the contract's own fields.
PLACE = ("known_from", "published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number")
_OF_PLACE: dict[str, DataType] = {
    "known_from": TimestampType(),
    "published_at": TimestampType(),
    "published_at_basis": StringType(),
    "retrieved_at": TimestampType(),
    "chunk_id": StringType(),
    "row_number": LongType(),
}
"""Their types, in a table whose records have none of them."""

PARTITION_COLUMNS = ("year", "month", "day")


def spark_type(avro: Any) -> DataType:
    """The type that Spark's `from_avro` gives one field, whose named types stand in full.

    Raises:
        ValueError: a type the contracts do not use.
    """
    one = sole(avro)
    match kind_of(one):
        case "decimal":
            return DecimalType(one["precision"], one.get("scale", 0))
        case "map":
            return MapType(StringType(), spark_type(one["values"]))
        case "array":
            return ArrayType(spark_type(one["items"]))
        case "record":
            return _record({field["name"]: field["type"] for field in one["fields"]})
        case kind if kind in _TYPES:
            return _TYPES[kind]
    raise ValueError(f"no Spark type for {avro}")


def _record(types: dict[str, Any]) -> StructType:
    record = StructType()
    for name, kind in types.items():
        record.add(name, spark_type(kind))
    return record


def record_type(contract: Contract) -> StructType:
    """A decoded record: every field nullable, because one that does not decode has none."""
    return _record(contract.types)


def key_type(contract: Contract) -> StructType:
    """A decoded message key: the fields of the contract's key."""
    return _record({name: contract.types[name] for name in contract.key})


def bronze_schema(contract: Contract) -> StructType:
    """All columns of a bronze table. Records of others have headers, and, by their formats, why a value did not decode
    and what their message key says.
    """
    columns = (
        StructType()
        .add("topic_id", StringType())
        .add("topic", StringType())
        .add("partition", IntegerType())
        .add("offset", LongType())
        .add("kafka_timestamp", TimestampType())
        .add("key", BinaryType())
        .add("schema_id", LongType())
        .add("value_hash", LongType())
        .add("decode_status", StringType())
        .add("record", record_type(contract))
        .add("value", BinaryType())
        .add("year", IntegerType())
        .add("month", IntegerType())
        .add("day", IntegerType())
    )
    if contract.external is None:
        return columns
    columns.add("headers", ArrayType(StructType().add("key", StringType()).add("value", BinaryType())))
    if contract.external.value_format == JSON:
        columns.add("problem", StringType())
    if contract.external.key_format == AVRO:
        columns.add("key_record", key_type(contract))
    return columns


def silver_schema(contract: Contract, *, revisions: bool) -> StructType:
    """All columns of a dataset's revisions, or of its current table: that holds no withdrawn key, so it lacks
    `is_withdrawn`."""
    types = _OF_PLACE | {field.name: field.dataType for field in record_type(contract)}
    schema = StructType()
    for name in (*contract.key, *contract.value_fields, *PLACE):
        schema.add(name, types[name])
    schema.add("kafka_partition", IntegerType()).add("kafka_offset", LongType()).add("version_hash", LongType())
    return schema.add("is_withdrawn", BooleanType()) if revisions else schema


def bronze_classes(contract: Contract) -> dict[str, str]:
    """Column → class, of a bronze table: what the record's fields are, its bytes and its key are too."""
    of_key = strictest(contract.classes[name] for name in contract.key)
    whole = strictest(contract.classes.values())
    told = {"key": of_key, "key_record": of_key, "record": whole, "value": whole, "headers": whole}
    return {name: told.get(name, TECHNICAL) for name in bronze_schema(contract).names}


def silver_classes(contract: Contract) -> dict[str, str]:
    """Column → class, of a dataset's revisions and its current table: as of the contract's fields."""
    names = silver_schema(contract, revisions=True).names
    return {name: contract.classes[name] if name in contract.fields else TECHNICAL for name in names}
