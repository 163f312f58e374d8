"""A sample of bronze's decoded rows is compared with their bytes in Kafka, decoded again with fastavro.

Bronze does not keep the bytes of decoded records, so they are read from Kafka. The writer's schema is the one in
`ops.schemas` with the id in the bytes. Neither Spark nor the pipeline's decoder is used. A record of others is resolved
by their contract's schema, too: only then its parts can be compared.

The sample is the same for the same data: short runs of offsets, evenly spread over the retained range of each
partition. Records that retention has removed are not judged; a note says so if no record of a topic could be.
"""

import io
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import fastavro
import pyarrow as pa
from confluent_kafka import Message

from foundation.rowhash import value_hash
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import bronze_table
from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome, TopicState
from schemas.avro_types import kind_of, sole
from schemas.contracts import Contract

SAMPLE = 100
"""Most rows per topic; if a topic has more partitions than this, one row of each."""

RUNS = 10
"""Number of offsets of a topic at which runs begin. Each costs a fetch."""

_HEADER_BYTES = 5
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
            samples[name] = _sample(evidence, outcome, state, table)
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for name, rows in samples.items():
        for row in rows:
            places[evidence.topics[name].topic.name, row["partition"]].append(row["offset"])
    messages = cluster.read_at(places)
    schemas = _Schemas(evidence)
    wrong: _Wrong = defaultdict(list)
    unknown: Counter[int] = Counter()
    for name, rows in samples.items():
        contract, topic = evidence.contracts[name], evidence.topics[name].topic.name
        where = f"bronze.{bronze_table(contract)}"
        reader = _Reader(contract)
        for row in rows:
            message = messages.get((topic, row["partition"], row["offset"]))
            if message is None or _hash(message) != row["value_hash"]:
                # The check `bronze = topic` finds differences between bronze and the topic.
                outcome.notes.append(f"{topic}/{row['partition']}: offset {row['offset']} has not the bytes of bronze")
                continue
            schema_id = _schema_id(message)
            schema = None if schema_id is None else schemas.get(schema_id)
            if schema_id is not None and schema is None:
                unknown[schema_id] += 1
                continue
            outcome.rows += 1
            for what, example in _differences(row, message, schema, reader):
                wrong[where, what].append(f"{topic}/{row['partition']} offset {row['offset']}: {example}")
    for (where, what), examples in wrong.items():
        outcome.add(where, f"{len(examples)} sampled rows {what}", examples[:EXAMPLES])
    for schema_id, count in unknown.items():
        outcome.notes.append(f"ops.schemas does not have schema {schema_id}: {count} sampled rows written under it")
    return outcome


def _sample(evidence: Evidence, outcome: Outcome, state: TopicState, table: str) -> list[dict[str, Any]]:
    """Rows of the window that count as decoded and whose records are retained; dates and instants as whole numbers."""
    lake, topic = evidence.lake, state.topic
    first = pa.table({
        "p": pa.array(topic.partitions, pa.int32()),
        "first": pa.array([bounds.first for bounds in topic.partitions.values()], pa.int64()),
    })  # fmt: skip
    lake.connection.register("retained", first)
    runs = max(1, RUNS // len(topic.partitions))
    length = max(1, SAMPLE // (runs * len(topic.partitions)))
    decoded = f"decode_status = 'ok' AND {evidence.in_window()}"
    lake.connection.execute(
        'CREATE OR REPLACE TEMP TABLE spans AS SELECT p, min("offset") AS low,'
        f' greatest({length}, ceil((max("offset") - min("offset") + 1) / {runs}))::BIGINT AS stride'
        f' FROM {table} JOIN retained ON partition = p AND "offset" >= first'
        f" WHERE topic_id = ? AND {decoded} GROUP BY p",
        [topic.topic_id],
    )
    found = lake.sql(
        f'SELECT b.partition, b."offset", b.key, epoch_ms(b.kafka_timestamp) AS kafka_ms, b.schema_id, b.value_hash,'
        f" b.value IS NOT NULL AS is_kept, b.record FROM {table} b JOIN spans ON b.partition = p"
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
    """The same rows with days and microseconds since 1970 in `record`: Python has no dates for some of the numbers."""
    record = rows["record"].combine_chunks()
    plain = record.cast(_numbered(record.type, instants=False)).cast(_numbered(record.type, instants=True))
    return rows.set_column(rows.column_names.index("record"), "record", plain)


def _numbered(kind: pa.DataType, *, instants: bool) -> pa.DataType:
    """A type with whole numbers in place of days; and of instants, or with these as microseconds."""
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_numbered(field.type, instants=instants)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_numbered(kind.value_type, instants=instants)))
    if pa.types.is_timestamp(kind):
        return pa.int64() if instants else pa.timestamp("us", kind.tz)
    return pa.int32() if pa.types.is_date(kind) else kind


class _Reader:
    """What a contract makes of a record's bytes.

    Attributes:
        schema: with whole numbers in place of days and instants; None if it is not needed.
        aliases: field → its names in records of others.
    """

    def __init__(self, contract: Contract) -> None:
        self._types = contract.types
        self._defaults = {field["name"]: field.get("default") for field in contract.schema["fields"]}
        self.aliases = {field["name"]: field.get("aliases", []) for field in contract.schema["fields"]}
        self.schema = fastavro.parse_schema(_without_dates(contract.schema)) if contract.external else None

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


class _Schemas:
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


def _schema_id(message: Message) -> int | None:
    """The id in the framing; None if there is no framing."""
    value = message.value() or b""
    return int.from_bytes(value[1:_HEADER_BYTES]) if value[:1] == b"\0" and len(value) >= _HEADER_BYTES else None


def _differences(row: Mapping[str, Any], message: Message, schema: Any, reader: _Reader) -> Iterator[tuple[str, str]]:
    """The differences of a row: what is wrong → an example.

    Args:
        schema: of the writer; None if the record is not framed.
    """
    value, schema_id = message.value() or b"", _schema_id(message)
    if row["key"] != message.key():
        yield "have another key than their record", f"{row['key']!r} instead of {message.key()!r}"
    if row["kafka_ms"] != message.timestamp()[1]:
        yield "have another timestamp than their record", f"{row['kafka_ms']} instead of {message.timestamp()[1]}"
    if row["schema_id"] != schema_id:
        yield "name another schema than their record", f"{row['schema_id']} instead of {schema_id}"
    if schema is None:
        yield "count as decoded and their record is not framed", f"{value[:_HEADER_BYTES]!r}"
        return
    try:
        decoded: Any = fastavro.schemaless_reader(io.BytesIO(value[_HEADER_BYTES:]), schema, reader.schema)
    except Exception as error:  # any error of the reader means that the bytes do not decode
        yield "count as decoded and fastavro does not read them", f"{type(error).__name__}: {error}"
        return
    held = row["record"] or {}
    written = {field["name"] for field in schema["fields"]}
    for name, stored in held.items():
        expected = reader.expected(decoded, name)
        # The column may be newer than the row. If the writer had it already, bronze has kept the bytes.
        is_younger = stored is None and (row["is_kept"] or not written & {name, *reader.aliases.get(name, ())})
        if not _same(stored, expected) and not is_younger:
            yield f"differ from their record in {name}", f"{stored!r} instead of {expected!r}"


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
