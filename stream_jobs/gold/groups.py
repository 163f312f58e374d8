"""The groups that are recomputed, as rows in this process and as a Spark frame."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from stream_jobs.silver.asof import local_frame


@dataclass(frozen=True)
class Groups:
    """Some groups, each once; at least one.

    Attributes:
        rows: the table's group columns, and the columns of the vintage if there are several vintages.
    """

    spark: SparkSession
    rows: pa.Table

    @cached_property
    def frame(self) -> DataFrame:
        """The groups as a Spark frame. Few groups are part of the plan, so Spark knows their number when it plans a
        join."""
        return local_frame(self.spark, self.rows)

    def bounds(self, *columns: str) -> tuple[tuple[Any, Any], ...]:
        """Column → (least, greatest value), as Python values for literal predicates."""
        found = (pc.min_max(self.rows[column]) for column in columns)
        return tuple((each["min"].as_py(), each["max"].as_py()) for each in found)
