"""A sample of bronze's decoded rows is compared with their bytes in Kafka, decoded again with fastavro.

Bronze does not keep the bytes of decoded records, so they are read from Kafka. The writer's schema is the one in
`ops.schemas` with the id in the bytes. Neither Spark nor the pipeline's decoder is used. A record of others is resolved
by their contract's schema, too: only then its parts can be compared.

The sample is the same for the same data: short runs of offsets, evenly spread over the retained range of each
partition. Records that retention has removed are not judged; a note says so if no record of a topic could be.
"""

import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import fastavro
import pyarrow as pa
from confluent_kafka import Message

from foundation.rowhash import value_hash
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import bronze_table
from monitoring.proof.checks import json_records
from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome, TopicState
from monitoring.proof.checks.readers import HEADER_BYTES, Reader, Schemas, key_of, schema_id_of
from schemas.contracts import Contract

SAMPLE = 100
"""Most rows per topic; if a topic has more partitions than this, one row of each."""

RUNS = 10
"""Number of offsets of a topic at which runs begin. Each costs a fetch."""

_SIGNED = 1 << 63
_Wrong = dict[tuple[str, str], list[str]]
"""(where, what) → the failing rows."""


def check(evidence: Evidence, cluster: Cluster) -> Outcome:
    """Decode the sample of every topic and compare it with bronze, column by column."""
    outcome = Outcome()
    samples = {}
    for name, contract in evidence.contracts.items():
        state, table = evidence.topics.get(name), f"bronze.{bronze_table(contract)}"
        if state is not None and evidence.lake.has(table):
            samples[name] = _sample(evidence, outcome, state, table, contract)
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for name, rows in samples.items():
        for row in rows:
            places[evidence.topics[name].topic.name, row["partition"]].append(row["offset"])
    messages = cluster.read_at(places)
    schemas = Schemas(evidence)
    wrong: _Wrong = defaultdict(list)
    unknown: Counter[int] = Counter()
    for name, rows in samples.items():
        contract, topic = evidence.contracts[name], evidence.topics[name].topic.name
        where = f"bronze.{bronze_table(contract)}"
        reader = Reader(contract)
        for row in rows:
            message = messages.get((topic, row["partition"], row["offset"]))
            if message is None or (not row["is_gone"] and _hash(message) != row["value_hash"]):
                # The check `bronze = topic` finds differences between bronze and the topic.
                outcome.notes.append(f"{topic}/{row['partition']}: offset {row['offset']} has not the bytes of bronze")
                continue
            schema_id = None if reader.is_json or row["is_gone"] else schema_id_of(message.value())
            schema = None if schema_id is None else schemas.get(schema_id)
            if schema_id is not None and schema is None:
                unknown[schema_id] += 1
                continue
            outcome.rows += 1
            differences = _differences(row, message, schema, reader) if not row["is_gone"] else ()
            for what, example in (*differences, *_beside(row, message, schemas, contract)):
                wrong[where, what].append(f"{topic}/{row['partition']} offset {row['offset']}: {example}")
    for (where, what), examples in wrong.items():
        outcome.add(where, f"{len(examples)} sampled rows {what}", examples[:EXAMPLES])
    for schema_id, count in unknown.items():
        outcome.notes.append(f"ops.schemas does not have schema {schema_id}: {count} sampled rows written under it")
    return outcome


def _sample(
    evidence: Evidence, outcome: Outcome, state: TopicState, table: str, contract: Contract
) -> list[dict[str, Any]]:
    """Rows of the window that count as decoded and whose records are retained; dates and instants as whole numbers."""
    lake, topic = evidence.lake, state.topic
    first = pa.table({
        "p": pa.array(topic.partitions, pa.int32()),
        "first": pa.array([bounds.first for bounds in topic.partitions.values()], pa.int64()),
    })  # fmt: skip
    lake.connection.register("retained", first)
    runs = max(1, RUNS // len(topic.partitions))
    length = max(1, SAMPLE // (runs * len(topic.partitions)))
    present = set(lake.sql(f"SELECT * FROM {table} LIMIT 0").column_names)
    more = ["headers"] if contract.external and "headers" in present else []
    judged = "('ok')"
    if contract.external and contract.external.key_format == "avro" and "key_record" in present:
        more.append("key_record")
        judged = "('ok', 'tombstone')"  # of which the message key is all that is said
    decoded = f"decode_status IN {judged} AND {evidence.in_window()}"
    lake.connection.execute(
        'CREATE OR REPLACE TEMP TABLE spans AS SELECT p, min("offset") AS low,'
        f' greatest({length}, ceil((max("offset") - min("offset") + 1) / {runs}))::BIGINT AS stride'
        f' FROM {table} JOIN retained ON partition = p AND "offset" >= first'
        f" WHERE topic_id = ? AND {decoded} GROUP BY p",
        [topic.topic_id],
    )
    found = lake.sql(
        f'SELECT b.partition, b."offset", b.key, epoch_ms(b.kafka_timestamp) AS kafka_ms, b.schema_id, b.value_hash,'
        f" b.value IS NOT NULL AS is_kept, decode_status = 'tombstone' AS is_gone, {', '.join(['b.record', *more])}"
        f" FROM {table} b JOIN spans ON b.partition = p"
        f' WHERE b.topic_id = ? AND {decoded} AND b."offset" >= low AND (b."offset" - low) % stride < {length}'
        ' ORDER BY b.partition, b."offset"',
        [topic.topic_id],
    )
    lake.connection.unregister("retained")
    if not found.num_rows:
        decoded_rows = lake.value(f"SELECT count(*) FROM {table} WHERE {decoded}")
        if decoded_rows:
            outcome.notes.append(f"{topic.name}: of {decoded_rows} decoded rows no record is retained any more")
    return list(_plain(found).to_pylist())


def _plain(rows: pa.Table) -> pa.Table:
    """The same rows with days and microseconds since 1970 in records: Python has no dates for some of the numbers."""
    for name in ("record", "key_record"):
        if name in rows.column_names:
            record = rows[name].combine_chunks()
            plain = record.cast(_numbered(record.type, instants=False)).cast(_numbered(record.type, instants=True))
            rows = rows.set_column(rows.column_names.index(name), name, plain)
    return rows


def _numbered(kind: pa.DataType, *, instants: bool) -> pa.DataType:
    """A type with whole numbers in place of days; and of instants, or with these as microseconds."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_numbered(field.type, instants=instants)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_numbered(kind.value_type, instants=instants)))
    if pa.types.is_timestamp(kind):
        return pa.int64() if instants else pa.timestamp("us", kind.tz)
    return pa.int32() if pa.types.is_date(kind) else kind


def _differences(row: Mapping[str, Any], message: Message, schema: Any, reader: Reader) -> Iterator[tuple[str, str]]:
    """The differences of a row: what is wrong → an example.

    Args:
        schema: of the writer; None if the record is not framed.
    """
    value, schema_id = message.value() or b"", schema_id_of(message.value())
    if row["key"] != message.key():
        yield "have another key than their record", f"{row['key']!r} instead of {message.key()!r}"
    if row["kafka_ms"] != message.timestamp()[1]:
        yield "have another timestamp than their record", f"{row['kafka_ms']} instead of {message.timestamp()[1]}"
    if row["schema_id"] != schema_id:
        yield "name another schema than their record", f"{row['schema_id']} instead of {schema_id}"
    if reader.is_json:
        try:
            decoded, written = json_records.record(reader.contract, value)
        except Exception as error:  # any error of the reader means that the bytes are not what the contract says
            yield "count as decoded and are no JSON of their contract", f"{type(error).__name__}: {error}"
            return
        yield from _fields(row, decoded, written, reader)
        return
    if schema is None:
        yield "count as decoded and their record is not framed", f"{value[:HEADER_BYTES]!r}"
        return
    try:
        resolved: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, reader.schema)
    except Exception as error:  # any error of the reader means that the bytes do not decode
        yield "count as decoded and fastavro does not read them", f"{type(error).__name__}: {error}"
        return
    yield from _fields(row, resolved, {field["name"] for field in schema["fields"]}, reader)


def _fields(
    row: Mapping[str, Any], decoded: Mapping[str, Any], written: set[str], reader: Reader
) -> Iterator[tuple[str, str]]:
    """The columns that differ from the record. Args: written: names that the writer had."""
    for name, stored in (row["record"] or {}).items():
        expected = reader.expected(decoded, name)
        # The column may be newer than the row. If the writer had it already, bronze has kept the bytes.
        is_younger = stored is None and (row["is_kept"] or not written & {name, *reader.aliases.get(name, ())})
        if not _same(stored, expected) and not is_younger:
            yield f"differ from their record in {name}", f"{stored!r} instead of {expected!r}"


def _beside(
    row: Mapping[str, Any], message: Message, schemas: Schemas, contract: Contract
) -> Iterator[tuple[str, str]]:
    """The differences in what bronze keeps beside the value of a record of others: its headers, and a key in Avro."""
    if (held := row.get("headers")) is not None:  # null in rows that are older than the column
        pairs: Any = message.headers() or ()  # typed as a mapping too, which only producers take
        sent = [{"key": name, "value": value} for name, value in pairs]
        if held != sent:
            yield "have other headers than their record", f"{held!r} instead of {sent!r}"
    if "key_record" in row:
        said = key_of(message.key() or b"", schemas, contract)
        if row["key_record"] != said:
            yield "say another key than their message key", f"{row['key_record']!r} instead of {said!r}"


def _same(stored: Any, expected: Any) -> bool:
    if isinstance(expected, dict) and isinstance(stored, dict):
        return stored.keys() == expected.keys() and all(_same(stored[name], expected[name]) for name in stored)
    if isinstance(expected, dict):
        return isinstance(stored, list) and dict(stored) == expected  # Arrow gives a map as its entries
    if isinstance(expected, list):
        return (
            isinstance(stored, list)
            and len(stored) == len(expected)
            and all(_same(*each) for each in zip(stored, expected, strict=True))
        )
    if isinstance(expected, float) and isinstance(stored, float):
        return stored == expected or (math.isnan(stored) and math.isnan(expected))
    return type(stored) is type(expected) and bool(stored == expected)


def _hash(message: Message) -> int:
    """Spark's `xxhash64(value)` as a signed 64-bit number, as in bronze."""
    hashed = value_hash(message.value() or b"")
    return hashed - 2 * _SIGNED if hashed >= _SIGNED else hashed
