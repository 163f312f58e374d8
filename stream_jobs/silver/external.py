"""Rows of a topic that others own: its records, and its tombstones as withdrawals (docs/adr/0032).

Their provenance is what Kafka says of a record: it was retrieved when Kafka took it, in no chunk of ours.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from schemas.avro_types import kind_of, nullable, sole
from schemas.contracts import KEY_SEPARATOR, Contract
from schemas.external import AVRO, JSON, External
from sinks.target import IS_WITHDRAWN
from sinks.versions import version_hash
from stream_jobs.columns import record_type, silver_schema

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"
_FORMS = {
    "int": r"^-?\d{1,9}$",
    "long": r"^-?\d{1,18}$",
    "boolean": "^(true|false)$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "timestamp-millis": _INSTANT,
    "timestamp-micros": _INSTANT,
}
"""The texts by which a message key says a value; a text of any other form says none."""


def records(bronze: DataFrame, contract: Contract, external: External) -> DataFrame:
    """Bronze rows → the records that `apply_changes` takes.

    A tombstone withdraws its key as of Kafka's timestamp. One whose message key does not say the contract's key
    withdraws nothing, and stays in bronze.
    """
    text = F.col("key").cast("string")
    is_gone = F.col("decode_status") == "tombstone"
    said = {name: _of_key(contract, external, name, F.when(F.is_valid_utf8(text), text)) for name in contract.key}
    may_lack = {name for name in contract.key if nullable(contract.types[name])}
    whole = (value.isNotNull() | (F.lit(name in may_lack) & empty) for name, (value, empty) in said.items())
    is_told = reduce(Column.__and__, whole)
    clock = F.col("kafka_timestamp")
    since = clock if external.is_by_kafka else F.when(is_gone, clock).otherwise(F.col("record")[external.known_from])
    types = record_type(contract)
    values = {name: F.col("record").getField(name) for name in contract.fields}
    values |= {name: F.when(is_gone, value).otherwise(values[name]) for name, (value, _) in said.items()}
    values |= {
        "known_from": since,
        "retrieved_at": clock,
        "kafka_partition": F.col("partition"),
        "kafka_offset": F.col("offset"),
        IS_WITHDRAWN: is_gone,
    }
    columns = [
        values.get(each.name, F.lit(None)).cast(each.dataType).alias(each.name)
        for each in silver_schema(contract, revisions=True)
    ]
    rows = bronze.where((F.col("decode_status") == "ok") | (is_gone & is_told)).select(
        *columns, F.make_valid_utf8(text).alias("key"), "topic", "topic_id"
    )
    hashed = version_hash([types[name] for name in contract.value_fields])
    return rows.withColumn("version_hash", F.when(~F.col(IS_WITHDRAWN), hashed))


def _of_key(contract: Contract, external: External, name: str, text: Column) -> tuple[Column, Column]:
    """A field of the key from the text of a message key, null where it says none; and whether it is there and empty."""
    if external.key_format == AVRO:
        part = F.col("key_record").getField(name)
        return part, F.col("key_record").isNotNull() & part.isNull()
    if external.key_format == JSON:
        part, is_empty = F.get_json_object(text, f"$.{name}"), F.get_json_object(text, "$").isNotNull()
        is_empty &= F.get_json_object(text, f"$.{name}").isNull()
    elif len(contract.key) == 1:
        part, is_empty = text, F.length(text) == 0
    else:
        parts = F.split(text, f"[{KEY_SEPARATOR}]")
        part = F.when(F.size(parts) == len(contract.key), F.get(parts, contract.key.index(name)))
        is_empty = part == ""
    avro = sole(contract.types[name])
    if form := _FORMS.get(kind_of(avro)):
        part = F.when(part.rlike(form), part)
    elif nullable(contract.types[name]):
        part = F.when(part != "", part)
    return part.try_cast(record_type(contract)[name].dataType), F.coalesce(is_empty, F.lit(False))
