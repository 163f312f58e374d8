"""A bronze table filled anew: by its own job from Kafka, and with the rows that only the table itself still has.

Kafka keeps a record for as long as its topic's retention says, and bronze for ever. So what stands below the oldest
offset that Kafka holds, or is of a topic that was made anew since, is taken over from the live table as it is.
"""

import json
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from uuid import uuid4

from deltalake import Transaction
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from foundation.files import replace_file
from sinks import tables
from sinks.commit import append
from sinks.snapshot import FILE, Snapshot
from storage import files
from stream_jobs.bronze.job import Broker, BronzeJob, bronze_contracts, table_name
from stream_jobs.bronze.known_schemas import KnownSchemas, Registry
from stream_jobs.places import SCHEMAS, Places
from stream_jobs.rebuild.plan import size_of
from stream_jobs.running import fingerprint, retention
from stream_jobs.running.checkpoints import Checkpoint, Guard
from stream_jobs.running.jobs import Driver

CARRIED = "carried.json"
"""Beside the shadow's checkpoint: that rows were taken over from the live table, and how many."""


FROM_ARCHIVE, NO_PARTITION, FIRST_OF_ARCHIVE = "archive", -1, 0
"""Topic id, partition and first offset of rows that were made again from the payload archive: where they stood in Kafka
nobody knows, and no record of Kafka's stands there. Of records with one clock the lower offset stands first: of these,
which are older than all that Kafka still has, in the order of their publication."""


@dataclass(frozen=True)
class Kafka:
    """What bronze is filled from, and who knows the schemas of its records."""

    broker: Broker
    registry: Registry


def job_of(query: str, driver: Driver, kafka: Kafka) -> BronzeJob:
    """The job of a bronze table; it knows every schema that the registry has of the topic."""
    [contract] = [each for each in bronze_contracts() if table_name(each) == query]
    known = KnownSchemas(driver.spark, driver.places.table(SCHEMAS), kafka.registry, kafka.broker.prefix)
    known.refresh([contract])
    return BronzeJob(contract, driver, kafka.broker, known)


def guard(job: BronzeJob, shadow: Places, broker: Broker, generation: int) -> Guard:
    """Of a shadow's checkpoint: it begins at the oldest offsets that Kafka holds now, whatever goes meanwhile."""
    first = retention.first_offsets(broker, job.topic)
    return Guard(
        generation,
        str(uuid4()),
        {job.name: tables.identity(shadow.table(job.name))},
        topic=job.topic,
        topic_id=broker.topic_id(job.topic),
        starting_offsets=json.dumps({job.topic: {str(each): at for each, at in first.items()}}, sort_keys=True),
        fingerprint=fingerprint.of(job.name),
    )


def first_of(begun: Guard) -> dict[int, int]:
    """Partition → the oldest offset that Kafka held when a shadow was begun."""
    found = json.loads(begun.starting_offsets or "{}").get(begun.topic, {})
    return {int(partition): int(offset) for partition, offset in found.items()}


def carry(spark: SparkSession, live: Places, shadow: Places, job: BronzeJob) -> int:
    """Take over from the live table what Kafka does not hold; returns how many rows, zero when it was done before.

    Of a table that has lost files it takes what is left.
    """
    folder, path = shadow.checkpoint(job.name), live.table(job.name)
    note = folder / CARRIED
    if note.exists():
        return 0
    begun = Checkpoint(job.name, folder).guard
    assert begun is not None
    rows = 0
    if tables.exists(path):
        snapshot = Snapshot.of(path)
        there = sorted(files.sizes(path, snapshot.files()))
        older = snapshot.read_files(spark, there).where(_is_gone_from_kafka(begun)).drop(FILE)
        target = shadow.table(job.name)
        before = size_of(target)[0]
        # One commit: a repetition after a kill finds all of it or nothing.
        append(older, target, once=Transaction(f"carried.{begun.query_id}", 0))
        rows = size_of(target)[0] - before
    replace_file(note, json.dumps({"rows": rows}))
    return rows


def _is_gone_from_kafka(begun: Guard) -> Column:
    below = ((F.col("partition") == each) & (F.col("offset") < at) for each, at in first_of(begun).items())
    return reduce(Column.__or__, below, F.col("topic_id") != F.lit(begun.topic_id))


def add(spark: SparkSession, job: BronzeJob, shadow: Places, file: Path) -> None:
    """Add rows that were made again to the shadow; they are decoded as the job decodes all.

    Args: file: of the columns of Spark's Kafka source.
    """
    append(job.rows_of(spark.read.parquet(str(file)), FROM_ARCHIVE), shadow.table(job.name))
