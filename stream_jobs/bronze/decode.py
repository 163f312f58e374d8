"""From a Kafka record to a bronze row: a pure plan over the columns of Spark's Kafka source.

Bytes that do not decode become rows too. Nothing here may raise, except for a schema id for which it is not known
yet whether the registry has it. A plan is fixed when its query starts, so a record written under a schema registered
since then must not be marked as unknown: the query stops, and the supervisor asks the registry and starts the query
again with the answer.
"""

import copy
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.types import StructType

from schemas.contracts import Contract
from schemas.external import AVRO, JSON
from schemas.framing import HEADER_BYTES
from stream_jobs.bronze import json_values
from stream_jobs.columns import bronze_schema, key_type, record_type

MARKER = "_decoded"
"""A field that only the reader schema has, default true. A record that does not decode has null in every field."""

ASK_REGISTRY = "correnteza-ask-registry:"
_ASKED = re.compile(re.escape(ASK_REGISTRY) + r"(\d+)")


@dataclass(frozen=True)
class Writer:
    """A schema some record may be written under.

    Attributes:
        reads_whole: whether the reader's schema has every field of this one. It has not if the writer is newer and has
            gained a field, nor if it is older and has a field that the reader has lost.
        is_of_contract: whether it describes the contract's kind of record; nothing else decodes.
    """

    schema_id: int
    schema: str
    reads_whole: bool
    is_of_contract: bool = True


@dataclass(frozen=True)
class Schemas:
    """The schema ids that a plan can decode, and those that the registry denied.

    Attributes:
        writers: every schema registered for the topic, when the plan was made.
        keys: schemas of message keys; empty where keys are not in Avro.
        unknown: ids that the registry says it does not have.
        ask: whether a record with any other id stops the query, so that the registry is asked; otherwise it counts as
            unknown.
    """

    writers: tuple[Writer, ...]
    unknown: frozenset[int] = frozenset()
    ask: bool = True
    keys: tuple[Writer, ...] = ()


def decoded(records: DataFrame, contract: Contract, schemas: Schemas, *, topic_id: str) -> DataFrame:
    """Kafka records → the columns of `bronze_schema`."""
    value, external = F.col("value"), contract.external
    names = ["topic", "partition", "offset", "timestamp", "key", "value", *(["headers"] if external else [])]
    framed = records.select(*names).withColumn("schema_id", _id_in("value"))
    more: list[Column] = []
    if external and external.value_format == JSON:
        told = framed.withColumn("_read", _json_read(contract)).withColumn("_record", F.col("_read.record"))
        told = told.withColumn("decode_status", F.coalesce("_read.status", F.lit("tombstone")))
        is_whole = F.coalesce("_read.is_whole", F.lit(True))
        more.append(F.col("_read.problem").alias("problem"))
    else:
        told = framed.withColumn("_record", _record(contract, schemas)).withColumn("decode_status", _status(schemas))
        is_whole = _among(writer.schema_id for writer in schemas.writers if writer.reads_whole)
    if external:
        more.append(F.coalesce("headers", F.array()).cast(bronze_schema(contract)["headers"].dataType).alias("headers"))
    if external and external.key_format == AVRO:
        more.append(_key_record(contract, schemas).alias("key_record"))
    return (
        told.withColumn("_ok", F.col("decode_status") == "ok")
        .select(
            *more,
            F.lit(topic_id).alias("topic_id"),
            "topic",
            "partition",
            "offset",
            F.col("timestamp").alias("kafka_timestamp"),
            "key",
            "schema_id",
            F.xxhash64("value").alias("value_hash"),
            "decode_status",
            F.when(F.col("_ok"), F.col("_record").dropFields(MARKER)).cast(record_type(contract)).alias("record"),
            F.when(~F.col("_ok") | ~is_whole, value).alias("value"),
            F.year("timestamp").alias("year"),
            F.month("timestamp").alias("month"),
            F.day("timestamp").alias("day"),
        )
        .select(*bronze_schema(contract).names)
    )


def question(schema_id: int) -> str:
    """The error message of a query that stops so that the registry is asked for a schema id."""
    return f"{ASK_REGISTRY}{schema_id}"


def id_to_fetch(error: str) -> int | None:
    """The schema id in such an error message; None if the query stopped for another reason."""
    found = _ASKED.search(error)
    return int(found[1]) if found else None


def _id_in(column: str) -> Column:
    """The schema's id in the framing of some bytes; null for bytes without framing."""
    framed = (F.length(column) >= HEADER_BYTES) & (F.substring(column, 1, 1) == F.lit(b"\x00"))
    # An id is an unsigned number of 32 bits: a cast to int would raise, and the query would fail at every start.
    return F.when(framed, F.expr(f"try_cast(conv(hex(substring({column}, 2, 4)), 16, 10) as bigint)"))


def _json_read(contract: Contract) -> Column:
    """What `json_values.read` makes of a value. Spark calls a Python function once for each record, however many of
    its results are used."""
    fields = [{**each, "type": contract.types[each["name"]]} for each in contract.schema["fields"]]
    kind = StructType().add("status", "string").add("record", record_type(contract)).add("problem", "string")
    read = partial(json_values.read, json.dumps(fields))
    return F.udf(read, kind.add("is_whole", "boolean"), useArrow=False)("value")


def _key_record(contract: Contract, schemas: Schemas) -> Column:
    """The contract's key in a message key in Avro; null where the key says none.

    A key without a schema in the registry counts as one that says nothing, after the registry was asked.
    """
    schema_id, payload = _id_in("key"), F.expr(f"substring(key, {HEADER_BYTES + 1})")
    told, kind = F.lit(None).cast(key_type(contract)), key_type(contract)
    asked = F.raise_error(F.concat(F.lit(ASK_REGISTRY), schema_id.cast("string"))).cast(kind)
    found = F.when(schema_id.isNull(), told)
    for writer in schemas.keys:
        found = found.when(schema_id == writer.schema_id, _key_by(contract, writer, payload).cast(kind))
    found = found.when(F.coalesce(schema_id.isin(sorted(schemas.unknown)), F.lit(False)), told)
    return found.otherwise(asked if schemas.ask else told)


def _key_by(contract: Contract, writer: Writer, payload: Column) -> Column:
    """The key under one writer's schema: a record that has the key's fields, or the only field by itself."""
    written = json.loads(writer.schema)
    if not writer.is_of_contract:
        return F.lit(None)
    if not (isinstance(written, dict) and written.get("type") == "record"):
        (name,) = contract.key
        options = {"avroSchema": json.dumps(contract.types[name]), "mode": "PERMISSIVE"}
        value = from_avro(payload, writer.schema, options)
        return F.when(value.isNotNull(), F.struct(value.alias(name)))
    declared = {each["name"]: each for each in contract.schema["fields"]}
    fields = [{**declared[name], "type": contract.types[name]} for name in contract.key]
    marker = {"name": MARKER, "type": "boolean", "default": True}
    reader = {name: written[name] for name in ("type", "name", "namespace") if name in written}
    options = {"avroSchema": json.dumps({**reader, "fields": [*fields, marker]}), "mode": "PERMISSIVE"}
    found = from_avro(payload, writer.schema, options)
    return F.when(found[MARKER], found.dropFields(MARKER))


def _record(contract: Contract, schemas: Schemas) -> Column:
    """The record under the reader's schema: one branch per writer schema; null where there is none."""
    reader = copy.deepcopy(contract.schema)
    reader["fields"].append({"name": MARKER, "type": "boolean", "default": True})
    options = {"avroSchema": json.dumps(reader), "mode": "PERMISSIVE"}
    payload = F.expr(f"substring(value, {HEADER_BYTES + 1})")
    branches = [
        (F.col("schema_id") == writer.schema_id, from_avro(payload, writer.schema, options))
        for writer in schemas.writers
        if writer.is_of_contract
    ]
    if not branches:
        return F.lit(None).cast(record_type(contract).add(MARKER, "boolean"))
    return reduce(lambda case, branch: case.when(*branch), branches[1:], F.when(*branches[0]))


def _status(schemas: Schemas) -> Column:
    """The first status that applies. The last branch stops the query if `schemas.ask` is true."""
    schema_id = F.col("schema_id")
    question = F.raise_error(F.concat(F.lit(ASK_REGISTRY), schema_id.cast("string"))).cast("string")
    return (
        F.when(F.col("value").isNull(), "tombstone")
        .when(schema_id.isNull(), "not_framed")
        .when(F.col(f"_record.{MARKER}"), "ok")
        .when(_among(writer.schema_id for writer in schemas.writers), "corrupt")
        .when(_among(schemas.unknown), "unknown_schema")
        .otherwise(question if schemas.ask else F.lit("unknown_schema"))
    )


def _among(ids: Iterable[int]) -> Column:
    return F.coalesce(F.col("schema_id").isin(sorted(ids)), F.lit(False))
