"""Bronze and silver queries in the tests' own JVM, one at a time, over real topics and a lake of the test's own."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pyspark.sql import SparkSession

from correnteza import spark as sessions
from correnteza import topics
from correnteza.places import places
from correnteza.settings import Settings
from monitoring.lag.kafka import Cluster
from monitoring.proof.checks.model import Rule
from monitoring.proof.verify import Subject, verify
from schemas.contracts import load
from schemas.registry import Registry
from sinks.locks import TableLocks
from storage import delta
from stream_jobs.bronze.job import Broker, BronzeJob
from stream_jobs.bronze.known_schemas import KnownSchemas
from stream_jobs.gold import reference
from stream_jobs.places import SCHEMAS
from stream_jobs.running import guards
from stream_jobs.running.jobs import Driver, Job
from stream_jobs.running.supervisor import drain
from stream_jobs.running.topic_ids import current_ids
from stream_jobs.silver.job import SilverJob
from stream_jobs.silver.tables import model as silver
from tests import lake_oracles
from tests.helpers import wait_for
from tests.judges import silver_and_gold
from tests.records import Message, message, publish

OWN_ORACLES = "silver and gold, by the tests' own readers"


class Pipeline:
    """Bronze and silver of one test."""

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark = spark
        self.settings = settings
        self.places = places(settings)
        self.broker = Broker(settings.bootstrap, settings.topic_prefix)
        self.registry = Registry(settings.registry)
        self.driver = Driver(spark, self.places, TableLocks(spark, self.places.locks, self.places.lake))
        self.ids: dict[str, int] = {}

    def topic(self, dataset: str) -> str:
        return self.broker.prefix + load(dataset).topic

    def declare(self, *datasets: str) -> None:
        """Topics and registered schemas."""
        contracts = [load(dataset) for dataset in datasets]
        topics.apply(self.broker.bootstrap, contracts, self.broker.prefix)
        self.ids |= self.registry.register(contracts, self.broker.prefix)

    def publish(self, dataset: str, *records: Mapping[str, Any]) -> None:
        if dataset not in self.ids:
            self.declare(dataset)
        contract = load(dataset)
        self.send(dataset, [message(contract, self.ids[dataset], record) for record in records])

    def send(self, dataset: str, messages: Iterable[Message]) -> None:
        """Messages as they are."""
        publish(self.broker.bootstrap, self.topic(dataset), messages)

    def bronze(self, dataset: str, *, driver: Driver | None = None, registry: Any = None) -> BronzeJob:
        contract = load(dataset)
        known = KnownSchemas(self.spark, self.places.table(SCHEMAS), registry or self.registry, self.broker.prefix)
        known.refresh([contract])
        return BronzeJob(contract, driver or self.driver, self.broker, known)

    def bronze_after(self, dataset: str, records: Iterable[Mapping[str, Any]]) -> BronzeJob:
        """A bronze query that has read these records."""
        self.publish(dataset, *records)
        job = self.bronze(dataset)
        self.run(job)
        return job

    def adopt(self, query: str, dataset: str | None = None, *, loss_accepted_by: str | None = None) -> None:
        """As `correnteza checkpoint adopt` does."""
        topic = self.topic(dataset) if dataset else None
        guards.adopt(self.places, query, self.broker, topic, loss_accepted_by=loss_accepted_by)

    def declare_until_there(self, dataset: str) -> None:
        """Create a topic again: its deletion takes effect a moment after it was acknowledged."""
        topic, before = self.topic(dataset), current_ids(self.broker.bootstrap, [self.topic(dataset)])

        def made() -> bool:
            topics.apply(self.broker.bootstrap, [load(dataset)], self.broker.prefix)
            return current_ids(self.broker.bootstrap, [topic]).get(topic, before.get(topic)) != before.get(topic)

        wait_for(made, f"{topic} is recreated")

    def silver(self, dataset: str) -> SilverJob:
        return SilverJob(silver.discover()[dataset], self.driver)

    def run(self, *jobs: Job) -> dict[str, int]:
        """Each up to the present, one after the other."""
        return drain(jobs, at_once=1, stop=Event())

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table's rows, read without Spark."""
        return delta.table(self.places.table(table)).to_pyarrow_table().to_pylist()

    def version(self, table: str) -> int:
        return delta.table(self.places.table(table)).version()

    def offsets(self, table: str) -> list[tuple[int, int]]:
        """(partition, offset) of every bronze row, sorted, repetitions kept."""
        return sorted((row["partition"], row["offset"]) for row in self.rows(table))

    def committed(self, dataset: str) -> list[tuple[int, int]]:
        """What an independent read_committed consumer sees: bronze is compared with it."""
        return committed(self.broker.bootstrap, self.topic(dataset))

    def contradictions(
        self, *names: str, without: tuple[str, ...] = (), has_rules: bool = True
    ) -> dict[str, list[str]]:
        """Check of `verify` → what it found wrong in the tables of these contracts; empty when all hold.

        The tests' own oracles are asked, too: what they find wrong in silver and gold stands under `OWN_ORACLES`.

        Args:
            without: checks to leave out.
            has_rules: whether silver was filled under the declared rules, or under none.
        """
        rules = {
            name: tuple(Rule(each.name, each.sql) for each in table.expectations if each.action == "quarantine")
            for name, table in silver.discover().items()
            if has_rules
        }
        home = self.settings
        subject = Subject(home.lake_root, home.checkpoints, reference.FOLDER, home.topic_prefix, rules)
        report = verify(subject, Cluster(home.bootstrap), {name: load(name) for name in names}, since=None)
        wrong = {
            each.check: [f"{found.where}: {found.what}" for found in each.outcome.findings]
            for each in report.verdicts
            if not each.holds
        }
        if found := silver_and_gold(home.lake_root, (name for name in names if not load(name).compacted)):
            wrong[OWN_ORACLES] = found
        return {check: found for check, found in wrong.items() if check not in without}

    def checkpoint(self, query: str) -> Path:
        """Spark's own folder of the query's present generation."""
        folder = self.places.checkpoint(query)
        return max(folder.glob("g[0-9]*"), key=lambda path: int(path.name[1:]))


def astray(pipeline: Pipeline, dataset: str) -> list[str]:
    """O1 and O3 of one dataset, by the lake's own oracles: what bronze lacks, holds too much, or holds twice.

    Records that a test makes up have no payload: of what stands twice, places in Kafka alone are told.
    """
    settings = pipeline.settings
    found = lake_oracles.coverage(settings.bootstrap, settings.topic_prefix, settings.lake_root, [dataset])
    return found + [each for each in lake_oracles.doubled(settings.lake_root, [dataset]) if ": place " in each]


def committed(bootstrap: str, topic: str) -> list[tuple[int, int]]:
    """(partition, offset) of every committed record of a topic, from its first offset to the last stable one."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "oracle", "isolation.level": "read_committed", "log_level": 0}
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p, end in ends.items() if end])
    seen = []
    while any(place.offset < ends[place.partition] for place in consumer.position(consumer.assignment())):
        for each in consumer.consume(10_000, timeout=1):
            assert each.error() is None
            seen.append((each.partition(), each.offset()))
    consumer.close()
    return sorted(seen)


@pytest.fixture
def pipeline(spark: SparkSession, settings: Settings) -> Iterator[Pipeline]:
    """On the shared broker and registry, with this test's prefix and home."""
    sessions.reach_store(spark, settings)
    made = Pipeline(spark, settings)
    yield made
    made.driver.locks.release()
