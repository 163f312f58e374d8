"""The groups that a recomputation is asked for: in this process, and as a frame of Spark's."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from stream_jobs.silver.asof import at_hand


@dataclass(frozen=True)
class Groups:
    """Some groups, each once; at least one.

    Attributes:
        rows: the table's group columns; and those of the vintage, where there are several.
    """

    spark: SparkSession
    rows: pa.Table

    @cached_property
    def frame(self) -> DataFrame:
        """The same for Spark. A few are part of the plan: whoever joins with them knows how few they are."""
        return at_hand(self.spark, self.rows)

    def bounds(self, *columns: str) -> tuple[tuple[Any, Any], ...]:
        """(least, greatest) of each column, as Python values for literal predicates."""
        found = (pc.min_max(self.rows[column]) for column in columns)
        return tuple((each["min"].as_py(), each["max"].as_py()) for each in found)
