"""Rows of this process as a frame of Spark's."""

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession


def frame_of(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """All rows of an Arrow table.

    Spark 4.1 ends a frame at the first record batch without rows, and loses what comes after it. A filter leaves such a
    batch wherever a file, or a part of a table, holds nothing that passes.
    """
    full = [batch for batch in rows.to_batches() if batch.num_rows]
    none = pa.RecordBatch.from_pylist([], schema=rows.schema)  # it converts no column of a table without any batch
    return spark.createDataFrame(pa.Table.from_batches(full or [none], rows.schema))
