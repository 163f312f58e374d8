"""The rows of a table that came after a version: those of the files that later commits added and that still count."""

from pathlib import Path
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from sinks.tables import actions_of

WHOLE = -1
"""Stands for the version before the first: every row came after it."""


def files_since(path: str, after: int, until: int) -> set[str] | None:
    """Names of the files that the versions after `after`, up to `until`, added with rows that are new or changed; None
    if the log no longer has one of these commits."""
    added: set[str] = set()
    for version in range(after + 1, until + 1):
        actions = actions_of(path, version)
        if actions is None:
            return None
        for kind, action in actions:
            if kind == "add" and action.get("dataChange", True):
                added.add(Path(unquote(action["path"])).name)
    return added


def rows_since(spark: SparkSession, path: str, after: int, until: int) -> tuple[DataFrame, int]:
    """The rows of version `until` that came after version `after`, and the version after which they came.

    A file that was written again brings the rows that did not change with it, so these are the changed rows and their
    neighbours. If the log no longer tells, they are all rows, and the version is `WHOLE`.
    """
    whole = spark.read.format("delta").option("versionAsOf", until).load(path)
    added = None if after == WHOLE else files_since(path, after, until)
    if added is None:
        return whole, WHOLE
    return whole.where(F.col("_metadata.file_name").isin(*added) if added else F.lit(False)), after
