"""Every kind of bytes becomes a row with the right status; only a question to the registry stops a query."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

from foundation.errors import UnsafeState
from schemas.contracts import load
from stream_jobs.bronze.decode import Schemas, Writer, decoded, id_to_fetch
from stream_jobs.bronze.known_schemas import _reads_whole
from stream_jobs.columns import bronze_schema
from stream_jobs.running import session
from tests.controls import complaint
from tests.records import framed

CONTRACT = load("inmet_stations")
RECORD = {"station_code": "A401", "valid_from_on": datetime(2024, 1, 1, tzinfo=UTC).date(), "name": "SALVADOR"}
KAFKA = "topic string, partition int, offset long, timestamp timestamp, key binary, value binary"
OLDER, OWN, NEWER, DENIED = 11, 12, 13, 99


def without(field: str) -> dict[str, Any]:
    """The contract as it was before it had this field."""
    schema = copy.deepcopy(CONTRACT.schema)
    schema["fields"] = [each for each in schema["fields"] if each["name"] != field]
    return schema


def with_field(name: str) -> dict[str, Any]:
    schema = copy.deepcopy(CONTRACT.schema)
    schema["fields"].append({"name": name, "type": ["null", "string"], "default": None})
    return schema


WRITERS = {OLDER: without("altitude_m"), OWN: CONTRACT.schema, NEWER: with_field("owner")}
SCHEMAS = Schemas(
    tuple(Writer(schema_id, json.dumps(schema), schema_id <= OWN) for schema_id, schema in WRITERS.items()),
    unknown=frozenset({DENIED}),
)
WHOLE = framed(CONTRACT.schema, OWN, RECORD)

# name → (bytes, status, whether bronze keeps them)
CASES: dict[str, tuple[bytes | None, str, bool]] = {
    "own version": (WHOLE, "ok", False),
    "older version": (framed(WRITERS[OLDER], OLDER, RECORD), "ok", False),
    "newer version": (framed(WRITERS[NEWER], NEWER, {**RECORD, "owner": "INMET"}), "ok", True),
    "truncated": (WHOLE[:-3], "corrupt", True),
    "garbage": (WHOLE[:5] + b"\xff" * 40, "corrupt", True),
    "header only": (WHOLE[:5], "corrupt", True),
    "hostile string length": (WHOLE[:5] + b"\x80\xca\xb5\xee\x03" + b"xyz", "corrupt", True),
    "denied schema id": (b"\x00" + DENIED.to_bytes(4, "big") + WHOLE[5:], "unknown_schema", True),
    "wrong magic byte": (b"\x01" + WHOLE[1:], "not_framed", True),
    "empty": (b"", "not_framed", True),
    "two bytes": (b"\x00\x00", "not_framed", True),
    "no value": (None, "tombstone", False),
}


def decode(spark: SparkSession, values: list[bytes | None], schemas: Schemas = SCHEMAS) -> list[Row]:
    at = datetime(2024, 12, 31, 23, 59, tzinfo=UTC)
    records = spark.createDataFrame([("t", 0, n, at, b"A401", value) for n, value in enumerate(values)], KAFKA)
    return decoded(records, CONTRACT, schemas, topic_id="id-1").orderBy("offset").collect()


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> dict[str, Row]:
    found = decode(spark, [value for value, _, _ in CASES.values()])
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_status_and_kept_bytes(rows, case):
    value, status, kept = CASES[case]
    row = rows[case]

    assert row.decode_status == status
    assert (None if row.value is None else bytes(row.value)) == (value if kept else None)
    assert (row.record is not None) == (status == "ok")


def retyped(name: str, kind: Any) -> dict[str, Any]:
    schema = copy.deepcopy(CONTRACT.schema)
    next(each for each in schema["fields"] if each["name"] == name)["type"] = kind
    return schema


@pytest.mark.parametrize(
    ("written", "is_whole"),
    [
        (CONTRACT.schema, True),
        (without("altitude_m"), True),
        (retyped("name", "string"), True),
        (with_field("owner"), False),
        (retyped("altitude_m", ["null", "float"]), False),
        (retyped("altitude_m", ["null", "double", "string"]), False),
        ("string", False),
        ([CONTRACT.schema], False),
    ],
    ids=["own", "a field less", "never null", "a field more", "another type", "a type more", "no record", "a union"],
)
def test_evolution_bytes_are_dropped_only_where_the_contract_takes_up_every_field(written, is_whole):
    """Not by age: a field that the contract has lost stands in an older version."""
    assert _reads_whole(CONTRACT, written) == is_whole


def test_every_version_is_read_under_the_contract_with_defaults_filled(rows):
    for case in ("own version", "older version", "newer version"):
        record = rows[case].record.asDict()
        assert set(record) == set(CONTRACT.fields)
        assert (record["name"], record["altitude_m"]) == ("SALVADOR", None)


def test_a_row_names_its_place_and_its_day_in_utc(rows):
    row = rows["own version"]
    assert (row.topic_id, row.topic, row.partition, row.offset) == ("id-1", "t", 0, 0)
    assert (row.year, row.month, row.day, row.schema_id) == (2024, 12, 31, OWN)


def test_columns_are_as_declared(spark, rows):
    declared = bronze_schema(CONTRACT).simpleString()
    assert spark.createDataFrame([rows["own version"]], bronze_schema(CONTRACT)).schema.simpleString() == declared
    assert list(rows["own version"].asDict()) == bronze_schema(CONTRACT).names


@pytest.mark.parametrize("schema_id", [500, 2**32 - 1])
def test_an_id_nobody_knows_stops_the_query_and_names_itself(spark, schema_id):
    with pytest.raises(PySparkException) as error:
        decode(spark, [b"\x00" + schema_id.to_bytes(4, "big") + WHOLE[5:]])
    assert id_to_fetch(str(error.value)) == schema_id


def test_control_an_id_as_an_int_would_stop_the_query_for_ever(spark, control):
    """Why it is a BIGINT: what the cast of a hostile id does."""

    def read_as(kind: str) -> list[str]:
        return complaint(spark.sql(f"select cast(conv('FFFFFFFF', 16, 10) as {kind})").collect)

    control.holds(read_as, "bigint")
    control.objects(read_as, "int", damage="CAST_INVALID_INPUT")


def test_after_too_many_questions_an_id_is_unknown_without_asking(spark):
    silent = Schemas(SCHEMAS.writers, SCHEMAS.unknown, ask=False)
    [row] = decode(spark, [b"\x00\xff\xff\xff\xff" + WHOLE[5:]], silent)
    assert (row.decode_status, row.schema_id) == ("unknown_schema", 2**32 - 1)


def test_a_topic_without_any_schema_still_has_rows(spark):
    [row] = decode(spark, [b"junk"], Schemas(()))
    assert row.decode_status == "not_framed"


def test_another_error_asks_for_nothing():
    assert id_to_fetch("java.io.IOException: disk full") is None


def test_each_branch_decodes_once(spark):
    """Status and record come from one `from_avro` per schema, or a batch would cost a multiple."""
    records = spark.createDataFrame([], KAFKA)
    plan = decoded(records, CONTRACT, SCHEMAS, topic_id="id-1")._jdf.queryExecution().optimizedPlan().toString()
    assert plan.count("from_avro(") == len(WRITERS)


def test_a_jvm_without_the_avro_limits_is_refused(spark):
    name, value = next(iter(session.AVRO_LIMITS.items()))
    system = spark._jvm.java.lang.System
    system.clearProperty(name)
    try:
        with pytest.raises(UnsafeState, match="one hostile record"):
            session.require_avro_limits(spark)
    finally:
        system.setProperty(name, value)
    session.require_avro_limits(spark)
