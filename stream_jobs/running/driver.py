"""One Spark driver: the queries of one layer, or of all, over one set of tables."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from pyspark.sql import SparkSession

from foundation import notify
from foundation.errors import CorrentezaError, UnsafeState
from foundation.log import get_logger
from sinks.locks import TableLocks
from stream_jobs.bronze.job import BronzeJob, bronze_contracts
from stream_jobs.bronze.known_schemas import KnownSchemas, Registry
from stream_jobs.gold import model as gold
from stream_jobs.gold.canary import GoldCanary
from stream_jobs.gold.job import GoldJob, write_static
from stream_jobs.places import SCHEMAS, Places
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.input_state import TableVersions, TopicEnds
from stream_jobs.running.jobs import LAYERS, AbsentTopicError, Broker, Driver, Job, absent
from stream_jobs.running.maintainer import Maintainer
from stream_jobs.running.maintenance_lock import MaintenanceLock
from stream_jobs.running.measures import UNMEASURED, Measures
from stream_jobs.running.memory import Memory
from stream_jobs.running.pace import Pace
from stream_jobs.running.stop_notes import stop_notes_in
from stream_jobs.running.supervised import STOP_SECONDS, Supervised, report_stopped
from stream_jobs.running.supervisor import bring_up_to_date, keep_running, require_none_stopped
from stream_jobs.running.suspension import InputState, Suspension
from stream_jobs.running.unread import topics_now
from stream_jobs.silver.canary import SilverCanary
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables import model as silver

AT_ONCE = 4
"""Queries side by side when everything is read once: one plans and commits while another computes."""

log = get_logger("driver")


@dataclass(frozen=True)
class Stage:
    """One layer brought up to date.

    Attributes:
        rows: query name → rows read, queries that had nothing to read included.
    """

    layer: str
    seconds: float
    rows: Mapping[str, int]


class StreamDriver:
    """The queries of some layers."""

    def __init__(
        self,
        spark: SparkSession,
        places: Places,
        *,
        broker: Broker,
        registry: Registry,
        layers: Sequence[str] = LAYERS,
        measures: Measures = UNMEASURED,
    ) -> None:
        self._driver = Driver(spark, places, TableLocks(spark, places.locks, places.lake), measures)
        self._note = stop_notes_in(places)
        self._known_schemas = KnownSchemas(spark, places.table(SCHEMAS), registry, broker.prefix)
        self._broker = broker
        self._contracts = bronze_contracts()
        self._layers = [layer for layer in LAYERS if layer in layers]
        self._bronze = [BronzeJob(each, self._driver, broker, self._known_schemas) for each in self._contracts]
        self._silver: list[SilverJob | SilverCanary] = [
            *(SilverJob(each, self._driver) for each in silver.discover().values()),
            SilverCanary(self._driver),
        ]
        declared = gold.discover().values()
        self._gold: list[GoldJob | GoldCanary] = [
            *(GoldJob(each, self._driver) for each in declared if isinstance(each, gold.GoldTable)),
            GoldCanary(self._driver),
        ]
        self._static = [each for each in declared if isinstance(each, gold.StaticTable)]

    def run_once(self, stop: threading.Event) -> list[Stage]:
        """Layer after layer, read everything there is, and end. A query that would find nothing is not started.

        Raises:
            UnsafeState: a guard refused a query, or one was stopped; all others of all layers are up to date.
            AbsentTopicError: the same of a query whose topic does not exist.
            CorrentezaError: a query cannot go on, or another driver writes a table; what was written stays.
        """
        stages = []
        stopped: dict[str, CorrentezaError] = {}
        try:
            for layer in self._layers:
                began = time.monotonic()
                self._prepare(layer)
                idle = {job.name: 0 for job in self._jobs(layer)}
                jobs, refused = self._with_unread(layer)
                done = bring_up_to_date(jobs, at_once=AT_ONCE, stop=stop, note=self._note)
                rows = idle | done.rows
                stopped |= refused | done.stopped
                stages.append(Stage(layer, time.monotonic() - began, rows))
                log.info("layer_drained", layer=layer, seconds=round(stages[-1].seconds, 2), rows=sum(rows.values()))
        finally:
            self._driver.locks.release()
        require_none_stopped(stopped)
        return stages

    def run(
        self,
        stop: threading.Event,
        intervals: Mapping[str, float],
        stop_seconds: float = STOP_SECONDS,
        *,
        maintenance_seconds: float,
    ) -> None:
        """Keep every query running, and its tables small, until told to stop.

        Args:
            intervals: layer → seconds between its batches at full pace (`pace.Pace`).
            maintenance_seconds: between two rounds over the tables.
            stop_seconds: how long batches may take to end once told to stop.

        Raises:
            UnsafeState, CorrentezaError: as `run_once`: told to stop, stopped queries are named; at once when all do.
                All queries are stopped, at batch boundaries where they can be.
        """
        supervised: list[Supervised] = []
        maintainer = Maintainer(
            self._driver.places, self._writers(), every=maintenance_seconds, measures=self._driver.measures
        )
        memory = Memory(self._driver.spark, self._driver.measures)
        unread: dict[Job, Callable[[], bool]] = {}
        try:
            states = self._input_states(stop)
            for layer in self._layers:
                self._prepare(layer)
                for job in self._jobs(layer):
                    suspension = Suspension(states[job.name])
                    pace = Pace(intervals[layer])
                    supervised.append(Supervised(job, pace, self._note, suspension, self._driver.measures))
                unread |= self._unread_of(layer)
            for each in supervised:
                each.begin(unread[each.job])
            maintainer.start()
            memory.start()
            resting = sum(each.is_suspended for each in supervised)
            notify.ready()
            log.info("driver_ready", layers=self._layers, queries=len(supervised), resting=resting)
            keep_running(supervised, stop, self._check, stop_seconds=stop_seconds)
        finally:
            maintainer.stop()
            memory.stop()
            # A batch that was abandoned may still write: then the locks last as long as the JVM.
            if not any(each.abandoned for each in supervised):
                self._driver.locks.release()

    def _writers(self) -> dict[str, MaintenanceLock | None]:
        """Every query and static table of these layers, as `maintained_tables.owned` takes them."""
        found: dict[str, MaintenanceLock | None] = {}
        if "bronze" in self._layers:
            found |= {SCHEMAS: None, **{job.name: job.maintenance_lock for job in self._bronze}}
        if "silver" in self._layers:
            found |= {job.name: job.maintenance_lock for job in self._silver}
        if "gold" in self._layers:
            found |= {job.name: job.maintenance_lock for job in self._gold}
            found |= {f"gold.{table.name}": None for table in self._static}
        return found

    def _prepare(self, layer: str) -> None:
        """Create what a layer's queries need before they start."""
        if layer == "bronze":
            self._driver.locks.acquire(SCHEMAS)
            self._known_schemas.refresh(self._contracts)
        if layer == "gold":
            for table in self._static:
                if write_static(table, self._driver):
                    log.info("static_table_written", table=table.name)

    def _jobs(self, layer: str) -> Sequence[Job]:
        jobs: dict[str, Sequence[Job]] = {"bronze": self._bronze, "silver": self._silver, "gold": self._gold}
        return jobs[layer]

    def _input_states(self, stop: threading.Event) -> dict[str, InputState]:
        """Job name → a function that gives the state of the job's inputs."""
        versions, states = TableVersions(), dict[str, InputState]()
        for job in (job for layer in self._layers for job in self._jobs(layer)):
            if isinstance(job, FollowingJob):
                states[job.name] = partial(versions.of, *map(self._driver.places.table, job.inputs))
        if "bronze" in self._layers:
            ends = TopicEnds(self._broker, [job.topic for job in self._bronze])
            ends.watch(stop)
            states |= {job.name: partial(ends.of, job.topic) for job in self._bronze}
        return states

    def _unread_of(self, layer: str) -> dict[Job, Callable[[], bool]]:
        """Job → a function that tells whether the job has anything to read."""
        if layer == "bronze":
            now = cache(lambda: topics_now(self._broker, [job.topic for job in self._bronze]))

            def has_unread(job: BronzeJob) -> bool:
                if job.topic not in now():
                    raise absent(job.topic)
                return job.has_unread(now()[job.topic])

            return {job: partial(has_unread, job) for job in self._bronze}
        return {job: job.has_unread for job in (self._silver if layer == "silver" else self._gold)}

    def _with_unread(self, layer: str) -> tuple[Sequence[Job], dict[str, CorrentezaError]]:
        """Those of a layer's jobs that have something to read; and, by name, why others cannot be started."""
        found: list[Job] = []
        refused: dict[str, CorrentezaError] = {}
        for job, has_unread in self._unread_of(layer).items():
            try:
                if has_unread():
                    found.append(job)
            except UnsafeState as error:
                self._driver.locks.acquire(job.name)  # only the owner of the table writes the note
                report_stopped(self._note, job.name, "stopped", error)
                refused[job.name] = error
            except AbsentTopicError as error:
                log.warning("topic_absent", query=job.name, error=str(error), hint=error.hint)
                refused[job.name] = error
        return found, refused

    def _check(self) -> dict[str, UnsafeState]:
        """Which running queries read a topic that was recreated. Reads new schemas from the registry, too."""
        found: dict[str, UnsafeState] = {}
        if "bronze" in self._layers:
            self._known_schemas.refresh(self._contracts)
            ids = self._broker.topic_ids(job.topic for job in self._bronze)
            for job in self._bronze:
                if job.topic not in ids:
                    continue  # its own query fails, and waits for the topic
                try:
                    job.require_same_topic(ids[job.topic])
                except UnsafeState as error:
                    found[job.name] = error
        return found
