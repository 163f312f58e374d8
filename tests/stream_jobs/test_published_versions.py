"""F7: whatever version a record was published under, today's bronze decodes it: every contract, in one plan."""

import json
from datetime import UTC, datetime
from functools import reduce

import pytest
from pyspark.sql import DataFrame

from schemas.compatibility import published_versions
from schemas.contracts import PROVENANCE, datasets
from stream_jobs.bronze.decode import Schemas, Writer, decoded
from tests.golden.kit import FOLDER
from tests.records import PUBLISHED, framed
from tests.samples import sample
from tests.stream_jobs.bronze.test_decode import KAFKA

VERSIONS = [
    (contract, version)
    for contract in datasets().values()
    for version in published_versions(FOLDER / "contracts", contract.name)
]


def statuses(spark, *, known: bool) -> set[tuple[str, str]]:
    """(dataset, decode status) of one record per published version; the versions are known to the plan, or not."""
    rows = []
    for schema_id, (contract, version) in enumerate(VERSIONS, start=1):
        record = {"published_at_basis": "none", "chunk_id": "0" * 32, "row_number": 7, "retrieved_at": PUBLISHED}
        whole = sample(contract, 1) | record | {"published_at": None}
        value = framed(version.schema, schema_id, {name: whole[name] for name in version.fields})
        raw = spark.createDataFrame([(contract.name, 0, 0, datetime(2024, 1, 1, tzinfo=UTC), b"k", value)], KAFKA)
        writers = (Writer(schema_id, json.dumps(version.schema), reads_whole=True),) if known else ()
        rows.append(
            decoded(raw, contract, Schemas(writers, ask=False), topic_id="id").select(
                "topic", "decode_status", "record.chunk_id"
            )
        )
    found = reduce(DataFrame.unionByName, rows).collect()
    assert {row.chunk_id for row in found} == ({"0" * 32} if known else {None})
    return {(row.topic, row.decode_status) for row in found}


@pytest.mark.slow
@pytest.mark.fault
def test_f7_every_published_version_is_decoded_under_todays_contract(spark):
    assert set(PROVENANCE) <= set.intersection(*(set(version.fields) for _, version in VERSIONS))
    assert statuses(spark, known=True) == {(name, "ok") for name in datasets()}


@pytest.mark.slow
@pytest.mark.fault
def test_f7_control_without_the_version_a_record_is_filed_as_unknown(spark, control):
    def misfiled(*, known: bool) -> list[str]:
        return [f"{name} is filed as {status}" for name, status in statuses(spark, known=known) if status != "ok"]

    control.holds(misfiled, known=True)
    control.objects(misfiled, known=False, damage="is filed as unknown_schema")
