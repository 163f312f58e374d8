"""F19, F20, F32: the broker is restarted, killed, out of reach or slow while it is written and read; a backlog.

The broker is one of this file's own, and both the poller and the queries know only the way through its proxy. The
queries run in the tests' own JVM, under the driver's supervisor.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from correnteza import topics
from correnteza.settings import Settings
from foundation.errors import CorrentezaError
from producers import poll, publish, sources
from producers.model import Span
from schemas.contracts import load_all
from stream_jobs.bronze import job as bronze
from tests import lake_oracles, oracles
from tests.brokers import OwnBroker, own_broker
from tests.helpers import PATIENCE_SECONDS, still, wait_for
from tests.pipeline import Pipeline, committed
from tests.plain_producer import PlainProducer
from tests.producers.served import SALVADOR, ServedZip, corrected, member_name
from tests.spark_fixtures import spark
from tests.supervised import EVERY_SECOND, kept_running

__all__ = ["spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

INMET = sources.load("inmet_hourly")
DATASET = "inmet_hourly"
TABLE = f"bronze.{DATASET}"
SOME = SALVADOR.read_bytes()[:200_000].rpartition(b"\n")[0] + b"\n"
SOME_ROWS = SOME.count(b"\n") - 9
CHUNK = 100
MET_AT = 4
"""The transaction, counted from 1, at which the fault begins: all its records are sent, its commit is not."""
CAUGHT_UP_SECONDS = 120.0
"""O10: after the fault, the lag is zero within this time, a query's longest pause and two busy cores included."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with own_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def settings(own, services, home) -> Settings:
    """As everywhere, on the broker behind the proxy."""
    return Settings(
        home=home,
        kafka_bootstrap=own.proxy.address,
        registry_url=services.registry_url,
        topic_prefix=f"t{home.parent.name}.",
    )


@pytest.fixture
def pipeline(spark, settings, own) -> Iterator[Pipeline]:
    topics.apply(own.direct, load_all().values(), settings.topic_prefix)
    made = Pipeline(spark, settings)
    yield made
    own.proxy.mode = "pass"
    made.driver.locks.release()


@dataclass
class Polling:
    """Polls of one year of INMET, one after the other until one ends well, as the schedule asks for them."""

    target: poll.Services
    base_url: str
    served: ServedZip
    at_transaction: Callable[[int], None]
    outcomes: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def begin(self, fault: "Fault") -> threading.Thread:
        """Poll in a thread of its own until all is published; the fault counts its transactions from here."""
        self.at_transaction, self.numbers = fault.at_transaction, iter(range(1, 10_000))
        self.done.clear()
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                error: CorrentezaError | None = poll.poll(
                    INMET,
                    self.target,
                    now=lambda: datetime(2025, 3, 1, tzinfo=UTC),
                    base_url=self.base_url,
                    span=Span(date(2025, 1, 1)),
                    chunk_rows=CHUNK,
                ).error
            except CorrentezaError as fatal:  # fenced: the process ends, and is started again
                error = fatal
            self.outcomes.append(f"{type(error).__name__}: {error}" if error else "")
            if error is None:
                self.done.set()
                return


@pytest.fixture
def polling(settings, httpserver, monkeypatch) -> Polling:
    """Its transactions are counted: the fault begins within one, not between two."""
    served = ServedZip(httpserver, "/2025.zip")
    served.put({member_name(SALVADOR): SOME})
    home = settings.home
    target = poll.Services(
        settings.bootstrap, settings.registry, settings.topic_prefix, home / "archive", home / "ledger.jsonl"
    )
    made = Polling(target, httpserver.url_for("/"), served, lambda number: None)
    monkeypatch.setattr(
        publish,
        "failpoint",
        lambda name: made.at_transaction(next(made.numbers)) if name == "before_commit_txn" else None,
    )
    return made


@dataclass
class Fault:
    """Begins inside transaction number `at`; what begins it may run in any thread."""

    begin: Callable[[], object]
    at: int = MET_AT
    met: threading.Event = field(default_factory=threading.Event)

    def at_transaction(self, number: int) -> None:
        if number == self.at:
            self.begin()
            self.met.set()


def assert_all_is_well(own: OwnBroker, pipeline: Pipeline, polling: Polling) -> None:
    """O1, O2, O3, O5: compared with a consumer that does not use the proxy."""
    prefix = pipeline.settings.topic_prefix
    assert oracles.problems(own.direct, prefix, INMET.datasets) == []
    rows = oracles.read(own.direct, prefix, DATASET)
    assert sorted(row.fields["row_number"] for row in rows) == list(range(SOME_ROWS))
    assert polling.target.ledger is not None
    acknowledged = [json.loads(line)["chunk_id"] for line in polling.target.ledger.read_text().splitlines()]
    there = [record.fields["chunk_id"] for record in oracles.read(own.direct, prefix, "ingest.manifests")]
    assert set(acknowledged) <= set(there)
    assert len(acknowledged) == len(set(acknowledged))
    assert pipeline.offsets(TABLE) == committed(own.direct, pipeline.topic(DATASET))


def survives(own: OwnBroker, pipeline: Pipeline, polling: Polling, fault: Fault, repair: Callable[[], None]) -> None:
    """Poll and read during the fault, end the fault, and check that everything arrives without intervention."""
    with kept_running(pipeline.bronze(DATASET)) as _:
        polling.begin(fault)
        assert fault.met.wait(PATIENCE_SECONDS), "the fault was not met"
        assert not polling.done.is_set()
        repair()
        assert polling.done.wait(CAUGHT_UP_SECONDS), polling.outcomes
        wait_for(
            lambda: pipeline.offsets(TABLE) == committed(own.direct, pipeline.topic(DATASET)),
            "the lag to be zero",
            CAUGHT_UP_SECONDS,
        )
        assert_all_is_well(own, pipeline, polling)


def last(seconds: float) -> None:
    """Keep a fault for some seconds."""
    until = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() >= until, "the fault to last", seconds + 5)


# F19


@pytest.mark.parametrize("cleanly", [True, False], ids=["clean", "killed"])
def test_f19_a_broker_restarted_within_a_transaction_loses_and_doubles_nothing(own, pipeline, polling, cleanly):
    fault = Fault(lambda: own.stop(cleanly=cleanly))
    survives(own, pipeline, polling, fault, own.start)


@pytest.mark.long
def test_f19_ten_restarts_clean_and_killed_lose_and_double_nothing(own, pipeline, polling):
    """Each within a transaction of its own, the next one after the broker answers again."""
    down = threading.Event()
    restarts = 0

    def at_transaction(number: int) -> None:
        nonlocal restarts
        if number > 1 and restarts < 10 and not down.is_set():
            restarts += 1
            own.stop(cleanly=restarts % 2 == 0)
            down.set()

    def repair() -> None:
        while not polling.done.is_set():
            if down.wait(1):
                own.start()
                down.clear()

    fault = Fault(lambda: None, at=1)
    begun = fault.at_transaction
    fault.at_transaction = lambda number: (begun(number), at_transaction(number))  # type: ignore[method-assign]
    survives(own, pipeline, polling, fault, repair)
    assert restarts == 10


def test_f19_control_what_is_sent_without_acknowledgements_is_lost_with_the_broker(
    own, settings, polling, monkeypatch, control
):
    """The same publisher over a producer that waits for no acknowledgement, and so can have no transaction.

    A frozen broker's socket takes what is sent; the publisher counts it as delivered, and nobody ever reads it.
    """
    topics.apply(own.direct, load_all().values(), settings.topic_prefix)

    def frozen_and_killed(*, polls_end: bool) -> None:
        """Poll; within a transaction the broker is frozen, then killed and started again."""
        fault = Fault(own.freeze)
        polling.begin(fault)
        assert fault.met.wait(PATIENCE_SECONDS), "the fault was not met"
        if polls_end:
            assert polling.done.wait(PATIENCE_SECONDS), polling.outcomes
        own.stop(cleanly=False)
        own.start()
        assert polling.done.wait(CAUGHT_UP_SECONDS), polling.outcomes

    frozen_and_killed(polls_end=False)
    asked = (own.direct, settings.topic_prefix, polling.target.ledger)
    control.holds(oracles.ledger_problems, *asked)

    monkeypatch.setattr(publish, "Producer", lambda wanted: PlainProducer(wanted, acks="0"))
    polling.served.put({member_name(SALVADOR): corrected(SOME)}, days=1)
    frozen_and_killed(polls_end=True)
    control.objects(oracles.ledger_problems, *asked, damage="was acknowledged and is not to be seen")


# F20


@pytest.fixture
def short_timeouts(monkeypatch) -> None:
    """The queries' Kafka clients give up after 4 s, not after a minute: a short fault must end them too."""
    hasty = {"kafka.default.api.timeout.ms": "4000", "kafka.request.timeout.ms": "3000"}
    monkeypatch.setattr(bronze, "KAFKA", bronze.KAFKA | hasty)


def out_of_reach(own: OwnBroker) -> Fault:
    return Fault(lambda: setattr(own.proxy, "mode", "blackhole"))


def passing_again(own: OwnBroker, polling: Polling, seconds: float) -> Callable[[], None]:
    def repair() -> None:
        assert polling.target.ledger is not None
        before = polling.target.ledger.read_text()
        last(seconds)
        # Back-pressure: the poller waits, and neither fetches nor keeps more than the chunk it has built ahead.
        assert polling.target.ledger.read_text() == before
        own.proxy.mode = "pass"

    return repair


def test_f20_a_broker_out_of_reach_for_12_s_stops_the_poller_and_both_come_back_by_themselves(
    own, pipeline, polling, short_timeouts
):
    """Whether the query waits or fails depends on what it was at; F28 shows that one that fails is started again."""
    survives(own, pipeline, polling, out_of_reach(own), passing_again(own, polling, 12))


@pytest.mark.long
def test_f20_a_broker_out_of_reach_for_70_s_loses_and_doubles_nothing(own, pipeline, polling):
    """Longer than a transaction may last: the broker aborts the open one, and the chunk is sent again."""
    survives(own, pipeline, polling, out_of_reach(own), passing_again(own, polling, 70))


def slow(own: OwnBroker) -> Fault:
    def begin() -> None:
        own.proxy.bytes_per_second = 5_000
        own.proxy.mode = "throttle"

    return Fault(begin)


@pytest.mark.parametrize("seconds", [12, pytest.param(70, marks=pytest.mark.long)])
def test_f20_a_very_slow_broker_loses_and_doubles_nothing(own, pipeline, polling, seconds):
    def repair() -> None:
        last(seconds)
        own.proxy.mode = "pass"

    survives(own, pipeline, polling, slow(own), repair)


def behind(own: OwnBroker, pipeline: Pipeline) -> list[str]:
    """The oracle: bronze holds all that a reader on the direct way sees, within the time that a restart takes."""
    settings = pipeline.settings
    asked = (own.direct, settings.topic_prefix, settings.lake_root, ["inmet_stations"])
    return still(lambda: lake_oracles.coverage(*asked), 20)


def test_f20_control_without_a_supervisor_a_query_that_lost_its_broker_stays_ended(
    own, pipeline, short_timeouts, control
):
    """The same query twice over the same loss: kept running by the supervisor, and left to itself."""
    pipeline.ids |= pipeline.registry.register([load_all()["inmet_stations"]], pipeline.settings.topic_prefix)

    def publish_station(code: str) -> None:
        pipeline.publish("inmet_stations", {"station_code": code, "valid_from_on": date(2024, 1, 1)})

    publish_station("A001")
    with kept_running(pipeline.bronze("inmet_stations")) as (kept,):
        wait_for(lambda: not behind(own, pipeline), "the first")
        own.proxy.mode = "blackhole"
        wait_for(lambda: kept.failures, "the query to fail")
        own.proxy.mode = "pass"
        publish_station("A002")
        control.holds(behind, own, pipeline)

    query = pipeline.bronze("inmet_stations").start(EVERY_SECOND)
    own.proxy.mode = "blackhole"
    wait_for(lambda: not query.isActive, "the query to fail")
    own.proxy.mode = "pass"
    publish_station("A003")
    assert "TimeoutException" in str(query.exception())
    control.objects(behind, own, pipeline, damage="bronze.inmet_stations lacks 1 records")
