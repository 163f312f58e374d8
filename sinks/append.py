"""Append a stream to a table; Delta's own sink knows each of its batches."""

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

Trigger = dict[str, str | bool]
"""What `DataStreamWriter.trigger` takes: `{"availableNow": True}` or `{"processingTime": "5 seconds"}`."""


def append_stream(
    frame: DataFrame, path: str, *, name: str, checkpoint: str, trigger: Trigger, partition_by: tuple[str, ...]
) -> StreamingQuery:
    """Start a query that appends a stream. Delta's own sink marks each commit with (query id, batch id)."""
    return (
        frame.writeStream.format("delta")
        .queryName(name)
        .outputMode("append")
        .option("checkpointLocation", checkpoint)
        .partitionBy(*partition_by)
        .trigger(**trigger)  # type: ignore[arg-type]
        .start(path)
    )
