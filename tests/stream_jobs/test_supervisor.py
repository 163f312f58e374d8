"""Queries are restarted alone, with back-off, within bounds; nothing half alive goes on. No Spark here."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from foundation.errors import CorrentezaError, TransientError, UnsafeState
from stream_jobs import supervisor
from stream_jobs.supervisor import Attempts, Supervised, drain, keep_running
from tests.controls import complaint


class Query:
    """A query that ends with an error, or in order, after being watched some times."""

    def __init__(self, lives: int, error: str | None) -> None:
        self.lives, self.error = lives, error
        self.stopped = False
        self.busy = False
        self._jsq = self

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        self.lives -= 1
        return self.lives >= 0 and not self.stopped

    @property
    def status(self) -> dict[str, Any]:
        return {"isTriggerActive": self.busy}

    def exception(self) -> str | None:
        return self.error

    def lastProgress(self) -> None:  # noqa: N802
        return None

    def stop(self) -> None:
        self.stopped = True


@dataclass
class Job:
    """Starts the queries of a script, one after the other; the last one for ever."""

    name: str
    queries: list[Query | CorrentezaError]
    failure: CorrentezaError | None = None
    mends: bool | CorrentezaError = False
    outdated: bool = False
    starts: int = field(default=0, init=False)
    running: Query | None = field(default=None, init=False)

    def start(self, trigger: Any) -> Any:
        self.starts += 1
        script = self.queries.pop(0) if len(self.queries) > 1 else self.queries[0]
        if isinstance(script, CorrentezaError):
            raise script
        self.running = script
        return script

    def mend(self, error: str) -> bool:
        if isinstance(self.mends, CorrentezaError):
            raise self.mends
        return self.mends


LONG = 10**9


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WATCH_SECONDS", 0.001)
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 0.01)


def run(*jobs: Job, until: Any, check: Any = lambda: None) -> None:
    """Keep the jobs running until a condition holds."""
    stop = threading.Event()
    supervised = [Supervised(job, {}) for job in jobs]
    for each in supervised:
        each.start()

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return until() or stop.wait(timeout)

    keep_running(supervised, Stopping(), check)


def test_a_query_that_fails_is_restarted_alone():
    failing = Job("bronze.a", [Query(2, "boom"), Query(LONG, None)])
    healthy = Job("bronze.b", [Query(LONG, None)])
    run(failing, healthy, until=lambda: failing.starts == 2)

    assert (failing.starts, healthy.starts) == (2, 1)
    assert failing.running.stopped
    assert healthy.running.stopped


def test_one_that_goes_on_failing_takes_the_driver_down():
    """F34: no driver that looks alive while one of its tables stands still."""
    failing = Job("silver.a", [Query(0, "boom")])
    healthy = Job("silver.b", [Query(LONG, None)])
    with pytest.raises(CorrentezaError, match=r"silver\.a failed: boom"):
        run(failing, healthy, until=lambda: False)

    assert failing.starts == supervisor.MOST_FAILURES + 1
    assert healthy.running.stopped


def test_f34_control_without_a_bound_it_would_be_tried_for_ever(monkeypatch, control):
    def alive() -> list[str]:
        """Whether a driver goes on after so many failures of one of its queries as its bound is twice over."""
        failing = Job("silver.a", [Query(0, "boom")])
        with suppress(CorrentezaError):
            run(failing, until=lambda: failing.starts > 20)
            return [f"the driver lives after {failing.starts} starts of a query that always fails"]
        return []

    control.holds(alive)
    monkeypatch.setattr(supervisor, "MOST_FAILURES", 10**6)
    control.objects(alive, damage="starts of a query that always fails")


def test_a_dependency_that_is_away_is_waited_for_however_long():
    away = Job("bronze.a", [*[TransientError("broker away")] * 12, Query(LONG, None)])
    run(away, until=lambda: away.running is not None)

    assert away.starts == 13


def test_an_unsafe_state_stops_the_driver_at_once():
    unsafe = Job("bronze.a", [Query(0, "x")], failure=UnsafeState("rows would double"))
    other = Job("bronze.b", [Query(LONG, None)])
    with pytest.raises(UnsafeState, match="rows would double"):
        run(unsafe, other, until=lambda: False)
    assert unsafe.starts == 1
    assert other.running.stopped


def test_a_cause_that_was_mended_counts_as_no_failure():
    job = Job("bronze.a", [*[Query(0, "asks") for _ in range(20)], Query(LONG, None)], mends=True)
    run(job, until=lambda: job.starts == 21)


def test_a_cause_that_cannot_be_mended_yet_is_tried_again_before_the_start():
    job = Job("bronze.a", [Query(0, "asks"), Query(LONG, None)], mends=TransientError("registry away"))
    polls = []

    def registry_comes_back() -> bool:
        polls.append(job.starts)
        if len(polls) == 200:
            job.mends = True
        return job.starts == 2

    run(job, until=registry_comes_back)
    assert set(polls[:200]) == {1}


def test_an_outdated_query_is_started_anew():
    first = Query(LONG, None)
    job = Job("bronze.a", [first, Query(LONG, None)], outdated=True)

    def settled() -> bool:
        if job.starts == 2:
            job.outdated = False
        return job.starts >= 2

    run(job, until=settled)
    assert first.stopped


def test_a_check_that_finds_something_unsafe_stops_the_driver(monkeypatch):
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)

    def check() -> None:
        raise UnsafeState("topic made anew")

    job = Job("bronze.a", [Query(LONG, None)])
    with pytest.raises(UnsafeState, match="made anew"):
        run(job, until=lambda: False, check=check)
    assert job.running.stopped


def test_the_pause_doubles_and_failures_of_long_ago_are_forgiven(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 60.0)
    attempts, error = Attempts(), CorrentezaError("x")

    assert [attempts.pause(error, now) for now in (0.0, 1.0, 2.0)] == [1.0, 2.0, 4.0]
    assert attempts.pause(error, supervisor.WITHIN_SECONDS + 10) == 1.0


def test_draining_runs_a_few_at_once_and_each_to_its_end():
    jobs = [Job(f"gold.{n}", [Query(3, None)]) for n in range(5)]
    assert set(drain(jobs, at_once=2, stop=threading.Event())) == {f"gold.{n}" for n in range(5)}


def test_draining_that_is_told_to_stop_says_so():
    stop = threading.Event()
    stop.set()
    with pytest.raises(CorrentezaError, match="stopped before"):
        drain([Job("gold.a", [Query(LONG, None)])], at_once=1, stop=stop)


def test_failures_of_a_dependency_do_not_count_against_the_job():
    attempts = Attempts()
    for now in range(20):
        attempts.pause(TransientError("away"), float(now))
    assert attempts.pause(CorrentezaError("boom"), 21.0) == supervisor.FIRST_PAUSE_SECONDS


def test_f28_a_full_disk_is_waited_for_however_long_it_stays_full():
    attempts = Attempts()
    full = CorrentezaError("bronze.a failed: java.io.IOException: No space left on device")
    assert {attempts.pause(full, float(now)) for now in range(100)} <= {0.001, 0.002, 0.004, 0.008, 0.01}


def test_f28_control_another_failure_is_given_up_after_some_tries(control):
    def given_up(said: str) -> list[str]:
        attempts, error = Attempts(), CorrentezaError(said)
        return complaint(lambda: [attempts.pause(error, float(now)) for now in range(supervisor.MOST_FAILURES + 1)])

    control.holds(given_up, "bronze.a failed: java.io.IOException: No space left on device")
    control.objects(given_up, "the disk is read-only", damage="the disk is read-only")


class Ending(Query):
    """A query in the midst of a batch, which ends after some looks at it; it notes whether it was stopped before."""

    def __init__(self, looks: int) -> None:
        super().__init__(LONG, None)
        self.looks = looks
        self.cut = False

    @property
    def status(self) -> dict[str, Any]:
        self.looks -= 1
        return {"isTriggerActive": self.looks >= 0}

    def stop(self) -> None:
        super().stop()
        self.cut = self.looks >= 0


def told_to_stop(query: Query, stop_seconds: float) -> None:
    """A driver with this one query, ordered to stop."""
    supervised = Supervised(Job("bronze.a", [query]), {})
    supervised.start()
    ordered = threading.Event()
    ordered.set()
    keep_running([supervised], ordered, lambda: None, stop_seconds=stop_seconds)


def cut(query: Ending) -> list[str]:
    """What the end of a query was like."""
    wrong = [] if query.stopped else ["it was not stopped"]
    return [*wrong, "its batch was cut"] if query.cut else wrong


def test_f33_a_batch_under_way_is_finished_before_its_query_is_stopped():
    query = Ending(3)
    told_to_stop(query, 600)
    assert cut(query) == []


def test_f33_control_a_driver_without_patience_cuts_the_batch(control):
    patient, hasty = Ending(3), Ending(LONG)
    told_to_stop(patient, 600)
    control.holds(cut, patient)
    told_to_stop(hasty, 0)
    control.objects(cut, hasty, damage="its batch was cut")


class Stuck(Query):
    """A query whose batch does not end, nor does the call that stops it, until it is let go."""

    MOST_SECONDS = 60.0

    def __init__(self) -> None:
        super().__init__(LONG, None)
        self.busy = True
        self.ended = False
        self.let_go = threading.Event()

    def stop(self) -> None:
        self.let_go.wait(self.MOST_SECONDS)
        self.ended = True


def stopped_beside_a_stuck_one(stop_seconds: float, *others: Job) -> Supervised:
    """The stuck one, after an order to stop; its batch has not ended yet."""
    stuck = Job("bronze.stuck", [Stuck()])
    supervised = [Supervised(each, {}) for each in (stuck, *others)]
    for each in supervised:
        each.start()
    ordered = threading.Event()
    ordered.set()
    keep_running(supervised, ordered, lambda: None, stop_seconds=stop_seconds)
    return supervised[0]


def waited_for(stuck: Supervised) -> list[str]:
    """What the end of the driver waited for."""
    return ["it waited until the batch ended"] if stuck.job.running.ended else []


def test_f33_a_batch_that_outlasts_the_stop_timeout_is_abandoned_and_the_others_are_stopped(monkeypatch):
    monkeypatch.setattr(supervisor, "END_SECONDS", 0.1)
    other = Job("bronze.other", [Query(LONG, None)])
    stuck = stopped_beside_a_stuck_one(0.2, other)

    assert waited_for(stuck) == []
    assert stuck.abandoned
    assert other.running.stopped
    stuck.job.running.let_go.set()


def test_f33_control_without_a_bound_on_spark_s_own_stop_the_end_waits_for_the_batch(monkeypatch, control):
    with monkeypatch.context() as patch:
        patch.setattr(supervisor, "END_SECONDS", 0.1)
        bounded = stopped_beside_a_stuck_one(0.0)
    control.holds(waited_for, bounded)
    bounded.job.running.let_go.set()

    monkeypatch.setattr(supervisor, "END_SECONDS", 10**6)
    monkeypatch.setattr(Stuck, "MOST_SECONDS", 1.0)
    control.objects(waited_for, stopped_beside_a_stuck_one(0.0), damage="it waited until the batch ended")


def test_f34_after_an_error_neither_a_long_batch_nor_a_hanging_check_delays_the_end(monkeypatch):
    assert supervisor.ERROR_STOP_SECONDS + supervisor.END_SECONDS < 10, "what runs a driver must hear of it soon"
    monkeypatch.setattr(supervisor, "ERROR_STOP_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "END_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)
    let_go, stuck = threading.Event(), Stuck()
    checked: list[bool] = []
    with pytest.raises(CorrentezaError) as given_up:
        run(
            Job("silver.a", [Query(0, "boom")]),
            Job("silver.b", [stuck]),
            until=lambda: False,
            check=lambda: checked.append(let_go.wait(60)),
        )
    assert (stuck.ended, checked) == (False, []), "it waited for one of them"
    let_go.set()
    stuck.let_go.set()

    assert "correnteza checkpoint inspect silver.a" in given_up.value.hint
    assert "boom" in given_up.value.hint
