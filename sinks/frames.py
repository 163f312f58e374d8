"""Frames that are evaluated once, and stay what they were.

`DataFrame.persist` lives in a cache that all sessions of a JVM share, by plan: whoever appends to a Delta table makes
Spark compute again every cached frame that reads the same path, whatever version it was read at. A row that was judged
absent would so be written where another query has just put one. A local checkpoint keeps rows, and forgets the plan.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame


@contextmanager
def fixed(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame's rows, computed by the first job that reads them all, and freed at the end; no later write is seen.

    In memory, and on disk where that is full.
    """
    checkpointed = frame.localCheckpoint(eager=False)
    try:
        yield checkpointed
    finally:
        checkpointed._jdf.queryExecution().analyzed().rdd().unpersist(False)
