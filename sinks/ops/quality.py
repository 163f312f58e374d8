"""`ops.expectations`: how many rows of each batch of silver and gold broke which expectation."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from foundation.failpoints import failpoint
from sinks import tables
from sinks.arrow_commit import replace_files
from sinks.commit import is_known
from sinks.expectations import Expectation
from sinks.snapshot import Snapshot
from sinks.transactions import Batch

NAME = "expectations"
ANY = "*"
"""Stands for all expectations of a dataset: rows that broke at least one."""

SCHEMA = (
    StructType()
    .add("dataset", "string")
    .add("query", "string")
    .add("generation", "integer")
    .add("batch_id", "long")
    .add("expectation", "string")
    .add("action", "string")
    .add("rows", "long")
    .add("broken", "long")
    .add("evaluated_at", "timestamp")
)


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table: one partition per dataset, so that the datasets' queries never conflict."""
    tables.ensure(spark, path, SCHEMA, partition_by=("dataset",), statistics_on=("batch_id", "evaluated_at"))


def write(
    path: str,
    dataset: str,
    expectations: tuple[Expectation, ...],
    *,
    batch: Batch,
    rows: int,
    broken: Mapping[str, int],
    at: datetime,
) -> None:
    """Append a batch's counts, once: the same batch again writes nothing. A dozen rows, so without a Spark job.

    Args:
        rows: number of judged rows: in silver all of the batch, in gold those that are written.
        broken: expectation, or `ANY`, → rows that broke it; absent means none.
    """
    snapshot, once = Snapshot.of(path), batch.once(NAME)
    if not rows or is_known(snapshot.table, once):
        return
    failpoint("before_counts")
    named = [(each.name, each.action) for each in expectations] + [(ANY, None)]
    counts = [
        {
            "dataset": dataset,
            "query": batch.job,
            "generation": batch.generation,
            "batch_id": batch.batch_id,
            "expectation": name,
            "action": action,
            "rows": rows,
            "broken": broken.get(name, 0),
            "evaluated_at": at,
        }
        for name, action in named
    ]
    found = pa.Table.from_pylist(counts, schema=snapshot.arrow_schema)
    replace_files(snapshot, (), found.to_reader(), once=once)
    failpoint("after_counts")
