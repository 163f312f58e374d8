"""The shadow of a query: its tables, filled beside the live ones by the same job, from the beginning of its inputs."""

import threading
import time
from pathlib import Path
from uuid import uuid4

from pyspark.sql import SparkSession

from sinks import tables
from sinks.locks import TableIsTakenError, TableLocks
from storage import files
from storage.location import location
from stream_jobs.bronze.job import BronzeJob
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.model import discover as gold_tables
from stream_jobs.places import Places
from stream_jobs.rebuild import bronze
from stream_jobs.rebuild.bronze import Kafka
from stream_jobs.running import fingerprint
from stream_jobs.running.checkpoints import Checkpoint, Guard
from stream_jobs.running.jobs import Driver
from stream_jobs.running.shadows import FOLDER, shadow_of
from stream_jobs.running.supervisor import drain
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables.model import discover as silver_tables


class Shadow:
    """The shadow of one query. After a kill at any point, building it continues."""

    def __init__(
        self,
        spark: SparkSession,
        live: Places,
        query: str,
        generation: int,
        kafka: Kafka | None = None,
        *,
        copies_live: bool = True,
    ) -> None:
        """Args:
        generation: of its checkpoint; the live query must never have had it.
        kafka: what bronze is filled from.
        copies_live: whether a bronze shadow copies the rows that the live table has and Kafka has not.
        """
        self._copies_live = copies_live
        self._query = query
        self._live = live
        self._kafka = kafka
        self._generation = generation
        self.places = shadow_of(live, query)
        self._driver = Driver(spark, self.places, TableLocks(spark, self.places.locks))
        self.job = _job_of(query, self._driver, kafka)

    def catch_up(self, stop: threading.Event) -> tuple[int, float]:
        """Read all that the inputs hold now; returns rows and seconds.

        Raises:
            UnsafeState: a row breaks a `fail` expectation, or the shadow's checkpoint is damaged.
            CorrentezaError: it cannot go on, or was told to stop.
        """
        began = time.monotonic()
        try:
            self.job.prepare()
            self._begin()
            carried = 0
            if isinstance(self.job, BronzeJob) and self._copies_live:
                carried = bronze.copy_from_live(self._driver.spark, self._live, self.places, self.job)
            is_due = isinstance(self.job, BronzeJob) or self.job.has_unread()
            rows = {"carried": carried} | (drain([self.job], at_once=1, stop=stop) if is_due else {})
        finally:
            self._driver.locks.release()
        return sum(rows.values()), time.monotonic() - began

    @property
    def oldest(self) -> dict[int, int]:
        """For a bronze shadow: partition → the oldest offset that Kafka held when the shadow was begun."""
        begun = Checkpoint(self._query, self.places.checkpoint(self._query)).guard
        assert begun is not None
        return bronze.first_of(begun)

    def add(self, file: Path) -> None:
        """As `bronze.add`."""
        assert isinstance(self.job, BronzeJob)
        bronze.add(self._driver.spark, self.job, self.places, file)

    def _begin(self) -> None:
        checkpoint = Checkpoint(self._query, self.places.checkpoint(self._query))
        if checkpoint.guard is None and isinstance(self.job, BronzeJob):
            assert self._kafka is not None
            checkpoint.begin(bronze.guard(self.job, self.places, self._kafka.broker, self._generation))
        elif checkpoint.guard is None:
            own = [self._query] if self._query.startswith("gold.") else [self._query, f"{self._query}_revisions"]
            identities = {name: tables.identity(self.places.table(name)) for name in own}
            noted = fingerprint.of(self._query)
            checkpoint.begin(Guard(self._generation, str(uuid4()), identities, fingerprint=noted))


def catch_up_live(
    spark: SparkSession, live: Places, query: str, stop: threading.Event, kafka: Kafka | None = None
) -> None:
    """Let the live query read all that its inputs hold, as the shadow did. If a driver owns the tables, it does so
    itself.

    Raises: UnsafeState, when the live query may not start.
    """
    driver = Driver(spark, live, TableLocks(spark, live.locks, live.lake))
    try:
        drain([_job_of(query, driver, kafka)], at_once=1, stop=stop)
    except TableIsTakenError:
        return
    finally:
        driver.locks.release()


def remove(live: Places, query: str) -> None:
    """Remove a query's shadow, tables and checkpoint; the state of its rebuild stays, and so do files that a swap has
    linked."""
    checkpoint = shadow_of(live, query).checkpoint(query)
    for name in ("guard.json", "seen.json", "standing.json", bronze.CARRIED):
        (checkpoint / name).unlink(missing_ok=True)
    # Only one query is built at a time, so all shadow tables in the folder belong to it.
    for folder in (*checkpoint.glob("g*[0-9]"), checkpoint / bronze.RECOVERED, location(live.lake) / FOLDER):
        files.remove_tree(folder)


def remove_left(live: Places) -> None:
    """Remove shadows of rebuilds that were killed, because maintenance keeps files for them. Call only if no rebuild is
    unfinished."""
    for folder in (live.checkpoints / FOLDER).glob("*.*"):
        if folder.is_dir():
            remove(live, folder.name)


def _job_of(query: str, driver: Driver, kafka: Kafka | None) -> BronzeJob | SilverJob | GoldJob:
    name = query.partition(".")[2]
    if query.startswith("bronze."):
        assert kafka is not None
        return bronze.job_of(query, driver, kafka)
    if query.startswith("silver."):
        return SilverJob(silver_tables()[name], driver)
    table = gold_tables()[name]
    assert isinstance(table, GoldTable)
    return GoldJob(table, driver)
