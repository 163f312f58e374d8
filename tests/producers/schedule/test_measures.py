"""The metrics of a worker of the schedule: polls by outcome, their time and bytes, and who leads. No broker."""

from types import SimpleNamespace

import pytest

from monitoring.metrics.schedule import ScheduleMetrics
from producers import sources
from producers.poll import Outcome
from producers.schedule import scheduler as scheduling
from producers.schedule.outcomes import Result
from producers.schedule.scheduler import Scheduler
from producers.session import Tally

SGS = "bcb_sgs"


@pytest.fixture
def metrics():
    return ScheduleMetrics([SGS])


@pytest.fixture
def scheduler(metrics):
    def poll(source, now, is_stopping):
        return Outcome(source.name, "slot", Tally(rows=7, received=1000), 0.5, None, False)

    return Scheduler("127.0.0.1:1", "", {SGS: sources.load(SGS)}, poll, lambda error: None, measures=metrics)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"correnteza_{name}", labels)


def attempting(monkeypatch, record):
    def attempt(source, request, store, poll):
        poll(None)
        return record

    monkeypatch.setattr(scheduling, "attempt", attempt)


def test_a_poll_is_counted_with_its_outcome_its_time_its_bytes_and_its_records(scheduler, metrics, monkeypatch):
    attempting(monkeypatch, SimpleNamespace(outcome=Result.PUBLISHED))
    scheduler._attempt(scheduler.sources[SGS], None)
    assert value(metrics, "polls_total", source=SGS, outcome="published") == 1
    assert value(metrics, "poll_duration_seconds_sum", source=SGS) == 0.5
    assert value(metrics, "fetched_bytes_total", source=SGS) == 1000
    assert value(metrics, "published_records_total", source=SGS) == 7


def test_a_request_that_another_worker_did_is_no_poll_and_every_outcome_has_a_series(scheduler, metrics, monkeypatch):
    attempting(monkeypatch, None)
    scheduler._attempt(scheduler.sources[SGS], None)
    told = {each: value(metrics, "polls_total", source=SGS, outcome=each.value) for each in Result}
    assert told == {each: None if each is Result.COVERED else 0 for each in Result}


@pytest.mark.parametrize("leads", [True, False])
def test_each_tick_says_whether_the_worker_leads(scheduler, metrics, monkeypatch, leads):
    monkeypatch.setattr(scheduler._tail, "read", lambda: iter(()))
    monkeypatch.setattr(scheduler, "_emit", lambda: None)
    scheduler.tick(lambda: leads)
    assert value(metrics, "leader") == leads
