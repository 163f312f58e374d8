"""One worker's part of the schedule, on real topics, with polls of the test's own."""

import time
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from correnteza import topics
from foundation import clock
from foundation.errors import FencedError, UnsafeState
from producers import sources
from producers.poll import Outcome
from producers.schedule import scheduler as scheduling
from producers.schedule.plain import Sender
from producers.schedule.requests import PollRequest
from producers.schedule.scheduler import Scheduler
from producers.session import Tally
from schemas import queues
from tests import schedule_kit

NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
NAMES = ("bcb_sgs", "inmet_hourly")
MINE = [scheduling.partition_of(index) for index in range(len(NAMES))]


class Ended(BaseException):
    """The process would have ended here."""


@pytest.fixture
def asked() -> list[str]:
    """The sources that were polled."""
    return []


@pytest.fixture
def scheduler(settings, asked, monkeypatch) -> Scheduler:
    topics.apply(settings.bootstrap, [], settings.topic_prefix)
    monkeypatch.setenv(clock.VARIABLE, f"{NOON.isoformat()}@0.001")

    def poll(source, now, is_stopping):
        asked.append(source.name)
        return Outcome(source.name, "slot", Tally(), 0.1, None, False)

    def end(error):
        raise Ended(error)

    chosen = {name: sources.load(name) for name in NAMES}
    return Scheduler(settings.bootstrap, settings.topic_prefix, chosen, poll, end)


@pytest.fixture
def emitted(settings):
    """What stands in poll.requests."""
    return lambda: schedule_kit.requests(settings.bootstrap, settings.topic_prefix)


def leads():
    return True


def follows():
    return False


def at_one_moment(monkeypatch, seconds: float = 0.0) -> None:
    """The scheduler's own clock stands, so many seconds after a beginning."""
    monkeypatch.setattr(scheduling, "time", SimpleNamespace(time=time.time, monotonic=lambda: 1000.0 + seconds))


def latest(name) -> PollRequest:
    return PollRequest(name, sources.load(name).calendar.latest(NOON))


def test_the_leader_emits_the_latest_slot_of_each_source_once(scheduler, emitted):
    scheduler.tick(leads)
    scheduler.tick(leads)
    assert sorted(request["slot_id"] for request in emitted()) == [latest(name).slot_id for name in NAMES]


def test_a_worker_that_does_not_lead_emits_nothing(scheduler, emitted):
    scheduler.tick(follows)
    assert emitted() == []


def test_a_leader_knows_from_kafka_alone_what_another_one_emitted(scheduler, emitted, settings):
    scheduler.tick(leads)
    successor = Scheduler(settings.bootstrap, settings.topic_prefix, scheduler.sources, scheduler.poll, scheduler.end)
    successor.tick(leads)
    assert len(emitted()) == len(NAMES)


def test_a_request_worked_off_has_its_outcome_and_waits_no_longer(scheduler, asked, settings):
    scheduler.tick(leads)
    scheduler.tick(leads)
    assert scheduler.health(is_leader=True, assigned=MINE)["requests_waiting"] == 2
    assert [scheduler.work(latest(name).to_json()) for name in NAMES] == [True, True]
    scheduler.tick(leads)
    assert asked == list(NAMES)
    assert scheduler.health(is_leader=True, assigned=MINE)["requests_waiting"] == 0
    found = schedule_kit.results_by_slot(settings.bootstrap, settings.topic_prefix)
    assert found == {latest(name).slot_id: ["no_news"] for name in NAMES}


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff\x00", PollRequest("no_such_source", NOON).to_json()])
def test_a_record_that_is_no_request_goes_to_the_dead_letter_queue_and_the_queue_continues(
    scheduler, asked, settings, monkeypatch, value
):
    Sender(settings.bootstrap).send(settings.topic_prefix + queues.REQUESTS, [("?", value)])
    scheduler.tick(leads)
    assert scheduler.work(value) is True
    assert len(schedule_kit.values(settings.bootstrap, settings.topic_prefix + queues.DEAD)) == 1
    at_one_moment(monkeypatch)
    scheduler.tick(leads)
    assert scheduler.why_no_progress(MINE) is None
    assert scheduler.work(latest("bcb_sgs").to_json()) is True
    assert asked == ["bcb_sgs"]


def test_a_fenced_poll_ends_alone_and_the_other_sources_go_on(scheduler, settings):
    def fenced(source, now, is_stopping):
        if source.name == "bcb_sgs":
            raise FencedError("another one polls")
        return Outcome(source.name, "slot", Tally(), 0.1, None, False)

    scheduler.poll = fenced
    assert [scheduler.work(latest(name).to_json()) for name in NAMES] == [True, True]
    found = schedule_kit.results_by_slot(settings.bootstrap, settings.topic_prefix)
    assert found == {latest("bcb_sgs").slot_id: ["fenced"], latest("inmet_hourly").slot_id: ["no_news"]}


def test_an_unsafe_state_ends_the_process(scheduler):
    def unsafe(source, now, is_stopping):
        raise UnsafeState("going on could lose data")

    scheduler.poll = unsafe
    with pytest.raises(Ended):
        scheduler.work(latest("bcb_sgs").to_json())


def test_a_worker_that_is_stopping_leaves_the_request_to_another(scheduler, asked):
    scheduler.stopping.set()
    assert scheduler.work(latest("bcb_sgs").to_json()) is False
    assert asked == []


def test_a_worker_that_is_stopping_emits_nothing(scheduler, emitted):
    scheduler.stopping.set()
    scheduler.tick(leads)
    assert emitted() == []


def test_no_progress_is_reported_before_the_first_tick(scheduler):
    assert scheduler.why_no_progress([0]) == "the queue cannot be read"


def test_no_progress_is_reported_when_a_request_waits_for_a_worker_too_long(scheduler, monkeypatch):
    """F10's stall: joined, alive, not consuming."""
    at_one_moment(monkeypatch)
    scheduler.tick(leads)
    scheduler.tick(leads)
    assert scheduler.why_no_progress(MINE) is None
    at_one_moment(monkeypatch, 2 * scheduling.LATE_SECONDS)
    scheduler.tick(leads)
    assert scheduler.why_no_progress(MINE).startswith("nobody takes up ")
    assert scheduler.why_no_progress([]) == "requests wait, and this worker consumes nothing"
    assert scheduler.why_no_progress([17]) is None  # another worker's partitions
    assert scheduler.health(is_leader=True, assigned=MINE)["is_progressing"] is False


def test_every_declared_source_has_a_partition_of_its_own():
    count = len(sources.load_all())
    assert len({scheduling.partition_of(index) for index in range(count)}) == count


@pytest.mark.parametrize("workers", [2, 3])
def test_neighbouring_partitions_are_a_fair_share_of_the_sources(workers):
    share = queues.REQUEST_PARTITIONS // workers
    counts = Counter(scheduling.partition_of(index) // share for index in range(len(sources.load_all())))
    assert max(counts.values()) - min(counts.values()) <= 1
