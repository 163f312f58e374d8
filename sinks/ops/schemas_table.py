"""`ops.schemas`: the lake's own copy of every schema by id. A registry cannot be restored with the same ids."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, LongType, StringType, StructType

from sinks import tables

NAME = "ops.schemas"

SCHEMA = (
    StructType()
    .add("schema_id", LongType())
    .add("subject", StringType())
    .add("version", IntegerType())
    .add("schema", StringType())
)


class StoredSchema(NamedTuple):
    """One row. A schema that was found only by the id in a record has no subject and version."""

    schema_id: int
    subject: str | None
    version: int | None
    schema: str


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table if it is absent."""
    tables.ensure(spark, path, SCHEMA, statistics_on=("schema_id",))


def stored(path: str) -> list[StoredSchema]:
    """Every row."""
    return [StoredSchema(**row) for row in DeltaTable(path).to_pyarrow_table().to_pylist()]


def store(path: str, schemas: Iterable[StoredSchema]) -> None:
    """Add the schemas that are not there yet, in one commit and without a Spark job."""
    fresh = sorted(set(schemas) - set(stored(path)), key=str)
    if fresh:
        rows = pa.Table.from_pylist(
            [each._asdict() for each in fresh], schema=DeltaTable(path).to_pyarrow_dataset().schema
        )
        write_deltalake(path, rows, mode="append")
