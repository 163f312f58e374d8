"""Bronze: every record of a topic as one row, once, whether or not it decodes."""

import json
from pathlib import Path

from deltalake import Transaction
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.streaming.query import StreamingQuery

from foundation import kafka
from foundation.errors import CorrentezaError, UnsafeState
from foundation.failpoints import failpoint
from foundation.files import replace_file
from foundation.log import get_logger
from schemas.contracts import Contract, load_all
from schemas.limits import MAX_RECORD_BYTES
from sinks import tables
from sinks.commit import append
from sinks.ops import erasures
from stream_jobs.bronze.decode import decoded, id_to_fetch, question
from stream_jobs.bronze.known_schemas import KnownSchemas
from stream_jobs.columns import PARTITION_COLUMNS, bronze_schema
from stream_jobs.running import retention, topic_offsets, unread
from stream_jobs.running.checkpoints import Guard
from stream_jobs.running.following import hand_over, is_rebuild_due
from stream_jobs.running.guards import checkpoint_of, open_checkpoint
from stream_jobs.running.jobs import Batches, Broker, Driver, Trigger, whole_message
from stream_jobs.running.maintenance_lock import MaintenanceLock
from stream_jobs.running.truncation import require_not_truncated
from stream_jobs.running.unread import TopicNow

__all__ = ["Broker", "BronzeJob", "bronze_contracts", "ensure_table", "table_name"]

MOST_OFFSETS_PER_BATCH = 2_000_000
"""Every batch costs about a second, so a backlog is read in large batches; rows are streamed and not kept in memory."""

KAFKA = {
    "failOnDataLoss": "true",
    # The default shows records of transactions that were rolled back.
    "kafka.isolation.level": "read_committed",
    "kafka.max.poll.records": "10000",
    "kafka.max.partition.fetch.bytes": str(8 * MAX_RECORD_BYTES),
    "kafka.fetch.max.bytes": str(32 * MAX_RECORD_BYTES),
}


def bronze_contracts() -> tuple[Contract, ...]:
    """The contracts whose topics become bronze tables: all except compacted ones, which hold state and no history."""
    return tuple(contract for contract in load_all().values() if not contract.compacted)


def table_name(contract: Contract) -> str:
    """`bronze.<table>`, such as `bronze.inmet_hourly` or `bronze.ingest_rejects`."""
    return f"bronze.{contract.name.replace('.', '_')}"


def ensure_table(spark: SparkSession, path: str, contract: Contract) -> None:
    """Create a bronze table if it is absent; widen it where the contract has gained a field."""
    tables.ensure(
        spark,
        path,
        bronze_schema(contract),
        partition_by=PARTITION_COLUMNS,
        statistics_on=("partition", "offset", "kafka_timestamp"),
    )


class BronzeJob:
    """The query of one topic.

    Attributes:
        maintenance_lock: taken by a rebuild that swaps the table, so that no maintenance runs meanwhile. Batches only
            append, and do not take it.
    """

    def __init__(self, contract: Contract, driver: Driver, broker: Broker, known: KnownSchemas) -> None:
        self.name = table_name(contract)
        self.topic = contract.topic_at(broker.prefix)
        self._contract = contract
        self._driver = driver
        self._broker = broker
        self._known_schemas = known
        self._checkpoint = checkpoint_of(driver.places, self.name)
        self._path = driver.places.table(self.name)
        self._batches = Batches(self.name, self._append)
        self._denied: frozenset[int] = frozenset()
        self.maintenance_lock = MaintenanceLock()

    @property
    def topic_id(self) -> str:
        """Of the topic as it is now. Raises: as `Broker.topic_id`."""
        return self._broker.topic_id(self.topic)

    @property
    def failure(self) -> CorrentezaError | None:
        """The error that stopped the query from inside a batch."""
        return self._batches.failure

    def end_before_next_batch(self) -> None:
        """As `Job`."""
        self._batches.end_before_next_batch()

    @property
    def ended_as_asked(self) -> bool:
        """As `Job`."""
        return self._batches.ended_as_asked

    def has_unread(self, topic: TopicNow) -> bool:
        """Whether starting would find a record, a batch to repeat, or a rebuild that waits for the table.

        Raises: UnsafeState, as `start`.
        """
        return is_rebuild_due(self._driver.places, self.name) or unread.in_topic(self._driver.places, self.name, topic)

    def prepare(self) -> None:
        """Lock the table, and create or widen it as declared."""
        self._driver.locks.acquire(self.name)
        ensure_table(self._driver.spark, self._path, self._contract)

    def start(self, trigger: Trigger) -> StreamingQuery:
        """Start reading where the checkpoint ends."""
        self.prepare()
        if is_rebuild_due(self._driver.places, self.name):
            hand_over(self._driver.places, self.name, self.maintenance_lock)
        topic_id = self.topic_id
        guard = open_checkpoint(self._driver.places, self.name, topic=self.topic, topic_id=topic_id, stamp=True)
        position = self._checkpoint.position(guard)
        first, ends = topic_offsets.bounds(self._broker, self.topic)
        retention.require_nothing_missing(self.name, self.topic, position, first)
        require_not_truncated(self.name, self.topic, position, ends)
        rows = self.rows_of(self._records(self._driver.spark, guard), topic_id)
        self._guard = guard
        return self._batches.start(rows, checkpoint=str(self._checkpoint.path(guard.generation)), trigger=trigger)

    def rows_of(self, records: DataFrame, topic_id: str) -> DataFrame:
        """Rows of the table from records of Spark's Kafka source, without the records that were erased."""
        places = erasures.places(self._driver.places.table(erasures.NAME), topic_id)
        for partition, offsets in places.items():
            records = records.where((F.col("partition") != partition) | ~F.col("offset").isin(offsets))
        schemas = self._known_schemas.plan(self._contract, self._unknown())
        self._denied = schemas.unknown
        return decoded(records, self._contract, schemas, topic_id=topic_id)

    def repair(self, error: str) -> bool:
        """If a record had a schema id that the plan does not know, ask the registry and store the answer."""
        schema_id = id_to_fetch(error)
        if schema_id is None:
            return False
        exists = self._known_schemas.fetch(schema_id)
        if not exists:
            replace_file(self._unknown_file, json.dumps(sorted(self._unknown() | {schema_id})))
        get_logger("bronze").info("schema_id_asked_for", query=self.name, schema_id=schema_id, exists=exists)
        return True

    @property
    def outdated(self) -> bool:
        """Whether it must be restarted: because a rebuild waits for its table, or because a schema id that the registry
        did not have is registered now, and its records would be marked as unknown."""
        return bool(self._denied & self._known_schemas.ids) or is_rebuild_due(self._driver.places, self.name)

    def require_same_topic(self, now: str) -> None:
        """Checked while the query runs. Raises: UnsafeState when the topic has another id now: it was recreated."""
        guard = self._checkpoint.guard
        if guard is not None and guard.topic_id != now:
            raise UnsafeState(
                f"topic {self.topic} was recreated while {self.name} read it: its id was {guard.topic_id}, is {now}",
                hint=f"correnteza checkpoint adopt {self.name}",
            )

    def _append(self, batch: DataFrame, batch_id: int) -> None:
        """The batch's rows, in one commit marked with (query id, batch id), so that repeating the batch adds
        nothing."""
        rows = self._checkpoint.offsets_in(self._guard, batch_id)
        try:
            failpoint("before_bronze")
            append(
                batch,
                self._path,
                rows=rows,
                once=Transaction(self._guard.query_id, batch_id),
                # If the topic still has its id after the read, all records are of that topic.
                confirm=lambda: self.require_same_topic(self._broker.topic_id(self.topic)),
            )
            failpoint("after_bronze")
        except PySparkException as error:
            schema_id = id_to_fetch(whole_message(error))
            if schema_id is None:
                raise
            raise CorrentezaError(question(schema_id)) from error

    def _records(self, spark: SparkSession, guard: Guard) -> DataFrame:
        return (
            spark.readStream.format("kafka")
            .options(**KAFKA)
            .options(**kafka.spark(self._broker.bootstrap))
            .option("subscribe", self.topic)
            .option("startingOffsets", guard.starting_offsets or "earliest")
            .option("maxOffsetsPerTrigger", MOST_OFFSETS_PER_BATCH)
            .option("includeHeaders", str(self._contract.external is not None).lower())
            .load()
        )

    def _unknown(self) -> frozenset[int]:
        """Ids that the registry did not have when it was asked."""
        try:
            return frozenset(json.loads(self._unknown_file.read_text()))
        except FileNotFoundError:
            return frozenset()
        except (ValueError, TypeError) as error:
            raise UnsafeState(
                f"{self._unknown_file} is damaged: {error}",
                hint=f"rm {self._unknown_file}; then the registry is asked again",
            ) from error

    @property
    def _unknown_file(self) -> Path:
        return self._checkpoint.folder / "unknown_schemas.json"
