"""Frames that are evaluated once and keep their rows.

`DataFrame.persist` uses a cache by plan that all sessions of a JVM share. An append to a Delta table makes Spark
recompute every cached frame that reads the same path, at whatever version. Then a row that was found absent would be
written although another query has just written it. A local checkpoint keeps the rows and drops the plan.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame


@contextmanager
def materialized(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame's rows, computed by the first job that reads them all, and freed at the end; later writes do not change
    them.

    Kept in memory, and on disk if memory is full.
    """
    checkpointed = frame.localCheckpoint(eager=False)
    try:
        yield checkpointed
    finally:
        checkpointed._jdf.queryExecution().analyzed().rdd().unpersist(False)
