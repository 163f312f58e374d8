"""The shadow of a bronze table: filled by its own job from Kafka, and with the rows that only the live table still has.

Kafka keeps a record for the retention time of its topic, and bronze keeps it forever. So rows below the oldest offset
that Kafka holds, and rows of a topic that was recreated since, are copied from the live table.
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
from stream_jobs.running import fingerprint, topic_offsets
from stream_jobs.running.checkpoints import Checkpoint, Guard
from stream_jobs.running.jobs import Driver

CARRIED = "carried.json"
"""A file beside the shadow's checkpoint: rows were copied from the live table, and how many."""
RECOVERED = "recovered"
"""A folder beside it: rows that come from the archive."""

FROM_ARCHIVE, NO_PARTITION, FIRST_OF_ARCHIVE = "archive", -1, 0
"""Topic id, partition and first offset of rows that were recovered from the payload archive: their former place in
Kafka is unknown, and no record of Kafka has such a place. Among records with the same clock the lower offset comes
first. These records are older than all that Kafka still has, and their numbers follow the order of their
publication."""


@dataclass(frozen=True)
class Kafka:
    """The broker that bronze is filled from, and the registry with the schemas of its records."""

    broker: Broker
    registry: Registry


def job_of(query: str, driver: Driver, kafka: Kafka) -> BronzeJob:
    """The job of a bronze table; it knows every schema that the registry has of the topic."""
    [contract] = [each for each in bronze_contracts() if table_name(each) == query]
    known = KnownSchemas(driver.spark, driver.places.table(SCHEMAS), kafka.registry, kafka.broker.prefix)
    known.refresh([contract])
    return BronzeJob(contract, driver, kafka.broker, known)


def guard(job: BronzeJob, shadow: Places, broker: Broker, generation: int) -> Guard:
    """The guard of a shadow's checkpoint: it begins at the oldest offsets that Kafka holds now, even if retention
    removes some meanwhile."""
    first = topic_offsets.first_offsets(broker, job.topic)
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


def copy_from_live(spark: SparkSession, live: Places, shadow: Places, job: BronzeJob) -> int:
    """Copy from the live table the rows that Kafka does not hold; returns how many, zero if that was done before.

    If the live table has lost files, the remaining rows are copied.
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
        # One commit: a repetition after a kill finds either all rows or none.
        append(older, target, once=Transaction(f"carried.{begun.query_id}", 0))
        rows = size_of(target)[0] - before
    replace_file(note, json.dumps({"rows": rows}))
    return rows


def _is_gone_from_kafka(begun: Guard) -> Column:
    below = ((F.col("partition") == each) & (F.col("offset") < at) for each, at in first_of(begun).items())
    return reduce(Column.__or__, below, F.col("topic_id") != F.lit(begun.topic_id))


def add(spark: SparkSession, job: BronzeJob, shadow: Places, file: Path) -> None:
    """Add rows that were recovered from the archive to the shadow; the job decodes them like all others.

    Args: file: Parquet with the columns of Spark's Kafka source.
    """
    append(job.rows_of(spark.read.parquet(str(file)), FROM_ARCHIVE), shadow.table(job.name))
