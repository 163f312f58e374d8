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
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.avro.functions import from_avro

from schemas.contracts import Contract
from schemas.framing import HEADER_BYTES
from stream_jobs.columns import bronze_schema, record_type

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
        unknown: ids that the registry says it does not have.
        ask: whether a record with any other id stops the query, so that the registry is asked; otherwise it counts as
            unknown.
    """

    writers: tuple[Writer, ...]
    unknown: frozenset[int] = frozenset()
    ask: bool = True


def decoded(records: DataFrame, contract: Contract, schemas: Schemas, *, topic_id: str) -> DataFrame:
    """Kafka records → the columns of `bronze_schema`."""
    value = F.col("value")
    framed = (F.length(value) >= HEADER_BYTES) & (F.substring(value, 1, 1) == F.lit(b"\x00"))
    # An id is an unsigned number of 32 bits: a cast to int would raise, and the query would fail at every start.
    schema_id = F.expr("try_cast(conv(hex(substring(value, 2, 4)), 16, 10) as bigint)")
    return (
        records.select("topic", "partition", "offset", "timestamp", "key", "value")
        .withColumn("schema_id", F.when(framed, schema_id))
        .withColumn("_record", _record(contract, schemas))
        .withColumn("decode_status", _status(schemas))
        .withColumn("_ok", F.col("decode_status") == "ok")
        .select(
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
            F.when(~F.col("_ok") | ~_among(w.schema_id for w in schemas.writers if w.reads_whole), value).alias(
                "value"
            ),
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
