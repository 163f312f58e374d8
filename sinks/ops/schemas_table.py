"""`ops.schemas`: the lake's own copy of every schema by id. A registry cannot be restored with the same ids."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType, LongType, StringType, StructType

from sinks import tables
from sinks.arrow_commit import append
from sinks.snapshot import Snapshot
from storage import delta

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
    return [StoredSchema(**row) for row in delta.table(path).to_pyarrow_table().to_pylist()]


def store(path: str, schemas: Iterable[StoredSchema]) -> None:
    """Add the schemas that are not there yet, in one commit and without a Spark job."""
    fresh = sorted(set(schemas) - set(stored(path)), key=str)
    if fresh:
        snapshot = Snapshot.of(path)
        append(pa.Table.from_pylist([each._asdict() for each in fresh], schema=snapshot.arrow_schema), path)
