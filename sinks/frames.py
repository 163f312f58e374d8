"""Frames that are evaluated once, and stay what they were.

`DataFrame.persist` lives in a cache that all sessions of a JVM share, by plan: whoever appends to a Delta table makes
Spark compute anew every cached frame that reads the same path, whatever version it was read at. A row that was judged
absent would so be written where another query has just put one. A local checkpoint keeps rows, and forgets the plan.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame


@contextmanager
def fixed(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame's rows, computed by the first job that reads them all, and freed at the end; no later write is seen."""
    checkpointed = fix(frame)
    try:
        yield checkpointed
    finally:
        free(checkpointed)


def fix(frame: DataFrame) -> DataFrame:
    """As `fixed`, until `free` is called. In memory, and on disk where that is full."""
    return frame.localCheckpoint(eager=False)


def free(checkpointed: DataFrame) -> None:
    """Let go of the rows of a frame that `fix` made; it cannot be read any more."""
    checkpointed._jdf.queryExecution().analyzed().rdd().unpersist(False)
