"""Work on a frame's rows, task by task, as Arrow batches."""

from collections.abc import Callable, Iterable

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.udf import UserDefinedFunction
from pyspark.util import PythonEvalType


def map_batches(
    frame: DataFrame, work: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]], schema: str
) -> DataFrame:
    """What `DataFrame.mapInArrow` gives, without pandas: that method requires pandas, though it does not use it.

    With pandas installed, Arrow imports it wherever a table is made, and every command would start later.
    """
    function = UserDefinedFunction(work, returnType=schema, evalType=PythonEvalType.SQL_MAP_ARROW_ITER_UDF)
    column = function(*[frame[name] for name in frame.columns])
    return DataFrame(frame._jdf.mapInArrow(column._jc, False, None), frame.sparkSession)
