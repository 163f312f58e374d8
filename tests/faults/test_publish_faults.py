"""Faults between a publisher, its broker and its registry. Each fault has a control: without the protection the oracle
reports the damage.

The broker is one of this file's own: the address it tells its clients is that of a proxy.
"""

import json
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

from correnteza import topics
from correnteza.embedded import jars
from foundation.errors import CorrentezaError, TransientError
from producers import cursor, poll, poll_zip, publish, sources
from producers.fetch.http import Client
from producers.model import Source, Span
from producers.publish import Publisher
from schemas import registry as registries
from schemas.contracts import load, load_all
from schemas.registry import Registry
from tests import oracles
from tests.brokers import OwnBroker, own_broker
from tests.helpers import PATIENCE_SECONDS, UNMODIFIED, run_to_its_end, wait_for
from tests.producers.served import MACAPA, SALVADOR, ServedZip, corrected, member_name
from tests.proxy import Proxy
from tests.records import message
from tests.records import publish as publish_plainly

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ROOT = Path(__file__).parent.parent.parent
POLL = ("poll", "inmet_hourly", "--once", "--json")
INMET = sources.load("inmet_hourly")
SOME = SALVADOR.read_bytes()[:200_000].rpartition(b"\n")[0] + b"\n"
SOME_ROWS = SOME.count(b"\n") - 9
CHUNK = 500
CHUNKS = -(-SOME_ROWS // CHUNK)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with own_broker(tmp_path_factory.mktemp("proxied")) as running:
        yield running


@pytest.fixture
def target(cluster, services, home) -> Iterator[poll.Services]:
    """Topics of this test's own on that broker; publishers go through the proxy."""
    prefix = f"t{home.parent.name}."
    topics.apply(cluster.direct, load_all().values(), prefix)
    yield poll.Services(cluster.proxy.address, services.registry_url, prefix, home / "archive", home / "ledger.jsonl")
    cluster.proxy.mode = "pass"
    cluster.proxy.swallow = lambda number: False
    cluster.proxy.holds = False


@pytest.fixture
def year(httpserver) -> ServedZip:
    served = ServedZip(httpserver, "/2025.zip")
    served.put({member_name(SALVADOR): SOME})
    return served


@pytest.fixture
def run(target, httpserver, year) -> Callable[..., poll.Outcome]:
    """Poll one year of INMET, one member, in several chunks."""

    def poll_once(source: Source = INMET, **options) -> poll.Outcome:
        options = {"base_url": httpserver.url_for("/"), "span": Span(date(2025, 1, 1)), "chunk_rows": CHUNK} | options
        return poll.poll(
            source, options.pop("services", target), now=lambda: datetime(2025, 3, 1, tzinfo=UTC), **options
        )

    return poll_once


def problems(cluster, target) -> list[str]:
    return oracles.problems(cluster.direct, target.prefix, INMET.datasets)


def acknowledged(target) -> list[str]:
    return [json.loads(line)["chunk_id"] for line in target.ledger.read_text().splitlines()]


def ends(bootstrap: str, prefix: str) -> dict[str, int]:
    return oracles.end_offsets(bootstrap, [prefix + contract.topic for contract in load_all().values()])


def assert_every_row_once(cluster, target) -> None:
    """O2, O3, O5."""
    assert problems(cluster, target) == []
    manifests = [
        record.fields["chunk_id"] for record in oracles.read(cluster.direct, target.prefix, "ingest.manifests")
    ]
    assert sorted(manifests) == sorted(acknowledged(target))
    rows = oracles.read(cluster.direct, target.prefix, "inmet_hourly")
    assert sorted(row.fields["row_number"] for row in rows) == list(range(SOME_ROWS))


# F4


def test_f4_a_commit_whose_answer_is_lost_is_asked_again_and_every_chunk_stands_once(cluster, target, run):
    before = cluster.proxy.swallowed
    passed = cluster.proxy.end_txns
    cluster.proxy.swallow = lambda number: (number - passed) % 3 == 2
    outcome = run()
    assert outcome.error is None
    assert outcome.tally.chunks == CHUNKS
    assert cluster.proxy.swallowed - before >= 2, "the fault was not met"
    assert_every_row_once(cluster, target)


def unsettled(cluster, target) -> list[str]:
    """The oracle: every chunk stands once, and what readers see is what the publisher knows to have published."""
    return problems(cluster, target) + oracles.ledger_problems(cluster.direct, target.prefix, target.ledger)


def asks_once(self: Publisher) -> None:
    """Commit with a time limit; what has no answer by then has failed. The next poll reads its cursor as ever."""
    self._producer.commit_transaction(1.0)


def test_f4_control_a_publisher_that_asks_once_does_not_know_what_it_has_published(
    cluster, target, run, year, monkeypatch, control
):
    """Only the repeated commit is switched off. What the cursor repairs was not acknowledged."""
    passed = cluster.proxy.end_txns
    # The commit reaches the broker each time; its answer never comes back.
    cluster.proxy.swallow = lambda number: number - passed == 2
    assert run().error is None
    control.holds(unsettled, cluster, target)

    again_passed = cluster.proxy.end_txns
    cluster.proxy.swallow = lambda number: number - again_passed >= 2
    year.put({member_name(SALVADOR): corrected(SOME)}, days=1)
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "_commit", asks_once)
        assert isinstance(run().error, TransientError)
    cluster.proxy.swallow = lambda number: False
    assert run().error is None
    control.objects(unsettled, cluster, target, damage="is to be seen and was never acknowledged")


@pytest.fixture
def holding(cluster, monkeypatch) -> Proxy:
    """A proxy before the broker that can hold answers; a client gives one up after 3 s, not after a minute."""
    monkeypatch.setattr(publish, "Producer", lambda asked: Producer(asked | {"socket.timeout.ms": 3_000}))
    cluster.proxy.holds = True
    return cluster.proxy


@pytest.mark.slow
def test_f4_a_commit_whose_answer_is_held_back_for_ever_is_asked_again_on_another_connection(
    cluster, target, run, holding
):
    """The connection is not closed, so the publisher does not learn that it is dead."""
    before, passed = holding.swallowed, holding.end_txns
    holding.swallow = lambda number: number - passed == 2
    outcome = run()
    assert (outcome.error, outcome.tally.chunks) == (None, CHUNKS)
    assert holding.swallowed - before == 1, "the fault was not met"
    assert holding.end_txns - passed > CHUNKS, "the commit was not asked for again"
    assert_every_row_once(cluster, target)


@pytest.mark.slow
def test_f4_control_a_publisher_that_loses_its_cursor_when_an_answer_is_held_publishes_twice(
    cluster, target, run, year, holding, monkeypatch, control
):
    """It commits once; only its successor's cursor repairs that."""
    monkeypatch.setattr(Publisher, "_commit", asks_once)

    def fail_then_ask_again() -> None:
        passed = holding.end_txns
        holding.swallow = lambda number: number - passed >= 2
        assert isinstance(run().error, TransientError)
        holding.swallow = lambda number: False
        assert run().error is None

    fail_then_ask_again()
    control.holds(problems, cluster, target)
    monkeypatch.setattr(cursor, "read", lambda *_: {})
    year.put({member_name(SALVADOR): corrected(SOME)}, days=1)
    fail_then_ask_again()
    control.objects(problems, cluster, target, damage="has 2 manifests")


# F5


class Stalling:
    """A source that stops in the middle of its second member until it is released."""

    def __init__(self, monkeypatch) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.before: Callable[[], None] = lambda: None
        downloads = iter(range(1, 100))
        real = Client.download

        def download(client, *arguments):
            if next(downloads) == 2:
                self.before()
                self.reached.set()
                assert self.go_on.wait(PATIENCE_SECONDS)
            return real(client, *arguments)

        monkeypatch.setattr(Client, "download", download)
        monkeypatch.setattr(poll_zip, "RUN_BYTES", 1)


@pytest.fixture
def stalling(monkeypatch, year) -> Stalling:
    year.put({member_name(SALVADOR): SOME, member_name(MACAPA): MACAPA.read_bytes()})
    monkeypatch.setattr(publish, "TRANSACTION_TIMEOUT", 10.0)
    return Stalling(monkeypatch)


def what_a_reader_misses_of_another_publisher(cluster, target) -> int:
    """Publish 200 records to each partition, without a transaction, and count those that a committed reader misses."""
    contract, chunk = load("inmet_hourly"), uuid.uuid4().hex
    record = dict.fromkeys(contract.fields) | {
        "station_code": "Z999",
        "observed_at": datetime(2025, 1, 1, tzinfo=UTC),
        "published_at_basis": "none",
        "retrieved_at": datetime(2025, 1, 1, tzinfo=UTC),
        "chunk_id": chunk,
        "row_number": 0,
    }
    messages = [message(contract, 1, record)] * 200
    for partition in range(contract.partitions):
        publish_plainly(cluster.direct, target.prefix + contract.topic, messages, partition=partition)
    seen = oracles.read(cluster.direct, target.prefix, "inmet_hourly", settled=False)
    return len(messages) * contract.partitions - sum(record.fields["chunk_id"] == chunk for record in seen)


def poll_beside(run) -> tuple[threading.Thread, list[poll.Outcome]]:
    outcomes: list[poll.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run()))
    thread.start()
    return thread, outcomes


def test_f5_while_a_source_stalls_no_transaction_is_open_and_readers_go_on(cluster, target, run, stalling):
    thread, outcomes = poll_beside(run)
    assert stalling.reached.wait(PATIENCE_SECONDS)
    assert what_a_reader_misses_of_another_publisher(cluster, target) == 0
    stalled_since = datetime.now(UTC)
    wait_for(
        lambda: (datetime.now(UTC) - stalled_since).total_seconds() > 2 * publish.TRANSACTION_TIMEOUT,
        "the stall to last longer than a transaction may",
    )
    stalling.go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert outcomes[0].error is None
    assert {row.fields["station_code"] for row in oracles.read(cluster.direct, target.prefix, "inmet_hourly")} == {
        "A401",
        "A249",
        "Z999",
    }


def held_up(cluster, target) -> list[str]:
    """The oracle: a committed reader sees at once what another publisher has just written."""
    missed = what_a_reader_misses_of_another_publisher(cluster, target)
    return [f"a reader misses {missed} records that another publisher wrote"] if missed else []


def test_f5_control_with_a_transaction_open_during_the_fetch_readers_wait_and_the_poll_fails(
    cluster, target, run, stalling, monkeypatch, control
):
    monkeypatch.setattr(publish, "TRANSACTION_TIMEOUT", 60.0)  # it is still open when the reader looks
    publishers: list[Publisher] = []
    start = Publisher.start
    monkeypatch.setattr(Publisher, "start", lambda self: (publishers.append(self), start(self)))
    control_asked = threading.Event()

    def open_too_early() -> None:
        control.holds(held_up, cluster, target)  # the same stall, and no transaction yet
        control_asked.set()
        producer = publishers[0]._producer
        producer.begin_transaction()
        for partition in range(load("inmet_hourly").partitions):
            producer.produce(target.prefix + load("inmet_hourly").topic, b"?", b"early", partition)
        producer.flush(30)

    stalling.before = open_too_early
    thread, outcomes = poll_beside(run)
    assert stalling.reached.wait(PATIENCE_SECONDS)
    assert control_asked.is_set()
    control.objects(held_up, cluster, target, damage="records that another publisher wrote")
    stalling.go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert outcomes[0].error is not None


# F6


@pytest.fixture
def registry(services, target) -> Iterator[tuple[poll.Services, Proxy]]:
    """The shared registry behind a port of its own that a test can close, and the services with it."""
    host, port = services.registry_url.split("/")[2].split(":")
    with Proxy((host, int(port))) as proxy:
        behind = services.registry_url.replace(f"{host}:{port}", proxy.address)
        yield replace(target, registry_url=behind), proxy


def test_f6_a_poll_with_a_registry_that_does_not_answer_fails_transiently_and_the_next_one_publishes(
    cluster, target, run, registry
):
    behind, proxy = registry
    before = ends(cluster.direct, target.prefix)
    proxy.mode = "reset"
    failed = run(services=behind)
    assert isinstance(failed.error, TransientError)
    assert ends(cluster.direct, target.prefix) == before, "not one unregistered byte"
    proxy.mode = "pass"
    assert run(services=behind).error is None
    assert_every_row_once(cluster, target)


def test_f6_a_registry_that_stops_answering_between_two_polls_or_during_one_stops_neither(
    cluster, target, run, registry, year
):
    behind, proxy = registry
    chunks = iter(range(1, 100))

    def stop_answering(_tally) -> None:
        if next(chunks) == 2:
            proxy.mode = "reset"

    assert run(services=behind, on_chunk=stop_answering).error is None
    assert_every_row_once(cluster, target)
    year.put({member_name(SALVADOR): SOME, member_name(MACAPA): MACAPA.read_bytes()}, days=1)
    later = run(services=behind)
    assert (later.error, later.tally.rows) == (None, 501)
    assert problems(cluster, target) == []


def test_f6_control_a_process_without_cached_ids_waits_for_its_registry(run, registry, year, monkeypatch, control):
    behind, proxy = registry
    assert run(services=behind).error is None
    proxy.mode = "reset"
    year.put({member_name(SALVADOR): SOME, member_name(MACAPA): MACAPA.read_bytes()}, days=1)

    def failure() -> list[str]:
        error = run(services=behind).error
        return [f"{type(error).__name__}: {error}"] if error else []

    control.holds(failure)
    year.put({member_name(SALVADOR): corrected(SOME), member_name(MACAPA): MACAPA.read_bytes()}, days=2)
    monkeypatch.setattr(registries, "_IDS", {})
    monkeypatch.setattr(registries, "_TEXTS", {})
    control.objects(failure, damage="TransientError: cannot register ")


# F7


@pytest.fixture
def proposal(tmp_path, settings) -> tuple[Path, dict[str, str]]:
    """A copy of the tree, bytecode too, in which a rain gauge reports text; and the environment of its commands."""
    copy = tmp_path / "proposal"
    for package in (
        "correnteza",
        "foundation",
        "monitoring",
        "producers",
        "schemas",
        "sinks",
        "storage",
        "stream_jobs",
    ):
        shutil.copytree(ROOT / package, copy / package)
    contract = copy / "schemas" / "inmet_hourly.avsc"
    text = contract.read_text()
    changed = text.replace(
        '"name": "rain_mm", "type": ["null", "double"]', '"name": "rain_mm", "type": ["null", "string"]'
    )
    assert changed != text
    contract.write_text(changed)
    return copy, {"PYTHONPATH": str(copy), "CORRENTEZA_JARS": str(jars.folder(settings))}


def run_proposed(proposal, settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    folder, own = proposal
    return run_to_its_end(settings, folder, UNMODIFIED, arguments, own | variables)


@pytest.fixture
def published(settings) -> str:
    """The topics and subjects of today's contracts, under this test's prefix."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    registry = Registry(settings.registry)
    registry.prove_compatibility()
    registry.register(load_all().values(), settings.topic_prefix)
    return f"{settings.topic_prefix}inmet_hourly.v1-value"


def test_f7_an_incompatible_contract_is_refused_before_anything_is_published(
    proposal, settings, published, httpserver, year
):
    before = ends(settings.bootstrap, settings.topic_prefix)
    planned = run_proposed(proposal, settings, "schemas", "plan")
    assert planned.returncode == 3, planned.stderr
    assert f"refused  {published}" in planned.stdout
    assert "keep    " in planned.stdout
    polled = run_proposed(proposal, settings, *POLL, **here(httpserver))
    assert polled.returncode == 3, polled.stderr
    assert ends(settings.bootstrap, settings.topic_prefix) == before
    assert len(Registry(settings.registry).versions(published)) == 1


def test_f7_control_a_subject_that_checks_nothing_takes_it(proposal, settings, published, control):
    registry = Registry(settings.registry)
    proposed = json.loads((proposal[0] / "schemas" / "inmet_hourly.avsc").read_text())
    schema = {name: proposed[name] for name in load("inmet_hourly").schema}

    def taken() -> list[str]:
        with suppress(CorrentezaError):
            registry.register([replace(load("inmet_hourly"), schema=schema)], settings.topic_prefix)
        versions = len(registry.versions(published))
        return [f"the subject has {versions} versions, one of them incompatible"] if versions > 1 else []

    control.holds(taken)
    registry._client.set_config(published, ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    control.objects(taken, damage="2 versions, one of them incompatible")


def here(httpserver) -> dict[str, str]:
    """The environment of a poll of one year."""
    return {
        "CORRENTEZA_BASE_URLS": json.dumps({"inmet_hourly": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"inmet_hourly": "2025-01-01"}),
    }
