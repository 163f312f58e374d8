"""The canary's tables in silver and gold: rows of one batch each, written without a Spark job."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from deltalake import Transaction
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from sinks import tables
from sinks.arrow_commit import replace_files
from sinks.commit import is_known
from sinks.snapshot import Snapshot

SCHEMA = (
    StructType()
    .add("source", "string")
    .add("sent_at", "timestamp")
    .add("kafka_offset", "long")
    .add("year", "integer")
    .add("month", "integer")
    .add("day", "integer")
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SentCanary:
    """The canary that was sent last of those in a batch.

    Attributes:
        sent_at: microseconds since the epoch.
    """

    source: str
    sent_at: int
    kafka_offset: int


def ensure(spark: SparkSession, path: str) -> None:
    """Create the table, of silver or gold: a partition per day, as bronze has, so that old days can be removed as whole
    files."""
    tables.ensure(spark, path, SCHEMA, partition_by=("year", "month", "day"), statistics_on=("sent_at",))


def append(path: str, found: SentCanary, *, once: Transaction) -> None:
    """Add a batch's row; repeating the batch adds nothing."""
    snapshot = Snapshot.of(path)
    if not is_known(snapshot.table, once):
        replace_files(snapshot, (), _row(found, snapshot).to_reader(), once=once)


def replace(path: str, found: SentCanary, *, once: Transaction) -> None:
    """Replace the table's row by a batch's row; repeating the batch changes nothing."""
    snapshot = Snapshot.of(path)
    if not is_known(snapshot.table, once):
        replace_files(snapshot, snapshot.files(), _row(found, snapshot).to_reader(), once=once)


def _row(found: SentCanary, snapshot: Snapshot) -> pa.Table:
    at = _EPOCH + timedelta(microseconds=found.sent_at)
    row = {
        "source": found.source,
        "sent_at": at,
        "kafka_offset": found.kafka_offset,
        "year": at.year,
        "month": at.month,
        "day": at.day,
    }
    return pa.Table.from_pylist([row], schema=snapshot.arrow_schema)
