"""Tables are created as declared, and follow a declaration that only adds."""

import pytest
from deltalake import DeltaTable, Schema

from foundation.errors import UnsafeState
from sinks import tables
from sinks.ops import schemas_table
from sinks.ops.schemas_table import StoredSchema
from tests.sinks import delta_tables

FIRST = "day int, record struct<name: string>, value binary"
WIDER = "day int, note string, record struct<name: string, owner: string>, value binary"
OTHER = "day string, record struct<name: string>, value binary"


@pytest.fixture
def ensure(spark, tmp_path):
    def made(ddl: str) -> str:
        path = str(tmp_path / "things")
        tables.ensure(spark, path, spark.createDataFrame([], ddl).schema, statistics_on=("day",))
        return path

    return made


def test_a_table_is_made_as_declared_with_our_properties(ensure):
    made = DeltaTable(ensure(FIRST))

    configuration = made.metadata().configuration
    assert configuration["delta.dataSkippingStatsColumns"] == "day"
    assert configuration["delta.enableDeletionVectors"] == "false"
    assert not tables.has_rows(made.table_uri)


def test_a_table_of_an_older_release_gets_the_properties_it_lacks_once(spark, tmp_path):
    path, schema = str(tmp_path / "things"), spark.createDataFrame([], FIRST).schema
    DeltaTable.create(path, Schema.from_json(schema.json()), configuration={"delta.checkpointInterval": "10"})
    for _ in range(2):
        tables.ensure(spark, path, schema, statistics_on=("day",))

    configuration = DeltaTable(path).metadata().configuration
    assert configuration["delta.enableExpiredLogCleanup"] == "false"
    assert configuration["delta.checkpointInterval"] == "10"
    assert DeltaTable(path).version() == 1


def test_a_compaction_is_no_gain_and_a_version_whose_commit_is_gone_may_be_one(tmp_path):
    path = delta_tables.made(str(tmp_path / "numbers"))
    delta_tables.add(path, 1), delta_tables.add(path, 2)
    assert tables.has_gained(path, 2)
    assert not tables.has_gained(path, 3)
    DeltaTable(path).optimize.compact()
    assert not tables.has_gained(path, 3)
    DeltaTable(path).delete("number = 1")
    assert tables.has_gained(path, 4)
    DeltaTable(path).create_checkpoint()
    (tmp_path / "numbers" / "_delta_log" / f"{3:020}.json").unlink()
    assert tables.has_gained(path, 3)


def test_columns_and_nested_fields_that_a_contract_gains_are_added(ensure, spark):
    path = ensure(FIRST)
    spark.sql("select 1 day, named_struct('name', 'a') record, cast(null as binary) value").write.format("delta").mode(
        "append"
    ).save(path)

    assert ensure(WIDER) == path
    version = DeltaTable(path).version()
    ensure(WIDER)
    [row] = DeltaTable(path).to_pyarrow_table().to_pylist()
    assert (row["record"], row["note"], DeltaTable(path).version()) == ({"name": "a", "owner": None}, None, version)


def test_a_column_that_a_contract_loses_stays_without_a_commit(ensure):
    path = ensure(WIDER)
    ensure(FIRST)
    assert DeltaTable(path).version() == 0


def test_another_type_is_refused(ensure):
    ensure(FIRST)
    with pytest.raises(UnsafeState, match=r"cannot take its declared columns: .* is .*, and .* is declared"):
        ensure(OTHER)


def test_a_table_made_anew_has_another_identity(ensure, spark, tmp_path):
    first = tables.identity(ensure(FIRST))
    assert tables.identity(ensure(FIRST)) == first

    other = str(tmp_path / "others")
    tables.ensure(spark, other, spark.createDataFrame([], FIRST).schema, statistics_on=("day",))
    assert tables.identity(other) != first


def test_schemas_are_kept_once(spark, tmp_path):
    path = str(tmp_path / "schemas")
    schemas_table.ensure(spark, path)
    rows = [StoredSchema(1, "a.v1-value", 1, "{}"), StoredSchema(7, None, None, "{}")]
    schemas_table.store(path, rows)
    schemas_table.store(path, rows)

    assert sorted(schemas_table.stored(path)) == rows
