"""Append rows once, by a batch's transaction id or by a streaming query's own."""

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from sinks.transactions import Batch, transaction

Trigger = dict[str, str | bool]
"""What `DataStreamWriter.trigger` takes: `{"availableNow": True}` or `{"processingTime": "5 seconds"}`."""


def append(frame: DataFrame, path: str, *, batch: Batch, table: str) -> None:
    """Append the frame; the same batch again changes nothing."""
    with transaction(frame.sparkSession, batch, table):
        frame.write.format("delta").mode("append").save(path)


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
