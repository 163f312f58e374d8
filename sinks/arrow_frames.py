"""Rows of this process as a frame of Spark's."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def frame_of(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """All rows of an Arrow table.

    Spark 4.1 ends a frame at the first record batch without rows, and loses what comes after it. A filter leaves such a
    batch wherever a file, or a part of a table, holds nothing that passes.
    """
    full = [batch for batch in rows.to_batches() if batch.num_rows]
    none = pa.RecordBatch.from_pylist([], schema=rows.schema)  # it converts no column of a table without any batch
    return spark.createDataFrame(pa.Table.from_batches(full or [none], rows.schema))


def frame_of_tuples(spark: SparkSession, rows: Iterable[tuple[Any, ...]], schema: StructType | str) -> DataFrame:
    """Rows with their values in the order of the columns.

    Of a list Spark makes a frame that it reads through a Python worker, in every plan that has a part in it. An Arrow
    table is part of the plan itself, and of a plan over no rows nothing is run.

    Args: schema: Spark's, or its DDL.
    """
    columns = struct_of(schema) if isinstance(schema, str) else schema
    named = [dict(zip(columns.names, row, strict=True)) for row in rows]
    return frame_of(spark, pa.Table.from_pylist(named, to_arrow_schema(columns)))


def struct_of(ddl: str) -> StructType:
    """Columns that are written down in DDL: `number INT NOT NULL, day DATE`."""
    struct = StructType.fromDDL(ddl)
    assert isinstance(struct, StructType)
    return struct
