"""A failed query is restarted alone, with back-off and within bounds. No Spark here."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from deltalake.exceptions import DeltaError
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from foundation.errors import CorrentezaError, TransientError, UnsafeState
from sinks.locks import TableIsTakenError
from stream_jobs.running import attempts, stalls, stopping, supervised, supervisor
from stream_jobs.running.attempts import Attempts
from stream_jobs.running.pace import Pace
from stream_jobs.running.supervised import Supervised
from stream_jobs.running.supervisor import bring_up_to_date, drain, keep_running
from tests.controls import complaint
from tests.helpers import PATIENCE_SECONDS, wait_for


class Query:
    """A query that ends with an error, or in order, after being watched some times."""

    def __init__(self, lives: int, error: str | None) -> None:
        self.lives, self.error = lives, error
        self.seen = 0
        self.tasks = 0
        self.stopped = False
        self.busy = False
        self._jsq = self

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        self.lives -= 1
        self.seen += 1
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
    queries: list[Query | Exception]
    failure: CorrentezaError | None = None
    repairs: bool | CorrentezaError = False
    outdated: bool = False
    ended_as_asked: bool = field(default=False, init=False)
    starts: int = field(default=0, init=False)
    running: Query | None = field(default=None, init=False)
    trigger: Any = field(default=None, init=False)

    def start(self, trigger: Any) -> Any:
        self.starts += 1
        self.ended_as_asked, self.trigger = False, trigger
        script = self.queries.pop(0) if len(self.queries) > 1 else self.queries[0]
        if isinstance(script, Exception):
            raise script
        self.running = script
        return script

    def end_before_next_batch(self) -> None:
        assert self.running is not None
        self.ended_as_asked = True
        self.running.lives, self.running.error = 0, "ends as it was asked to"

    def repair(self, error: str) -> bool:
        if isinstance(self.repairs, CorrentezaError):
            raise self.repairs
        return self.repairs


LONG = 10**9


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "WATCH_SECONDS", 0.001)
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(attempts, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(stalls, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(stalls, "_jobs", lambda query: query.tasks)


def run(*jobs: Job, until: Any, check: Any = dict) -> None:
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


def test_systemd_is_notified_while_a_driver_watches_its_queries(monkeypatch):
    signs: list[int] = []
    monkeypatch.setattr(supervisor.notify, "alive", lambda: signs.append(1))
    watched = Job("bronze.a", [Query(LONG, None)])
    run(watched, until=lambda: len(signs) == 3)
    assert len(signs) == 3  # one per look: a loop that hangs in one gives none


def test_a_query_that_keeps_failing_ends_the_driver():
    """F34: no driver runs on while one of its tables is stopped."""
    failing = Job("silver.a", [Query(0, "boom")])
    healthy = Job("silver.b", [Query(LONG, None)])
    with pytest.raises(CorrentezaError, match=r"silver\.a failed: boom"):
        run(failing, healthy, until=lambda: False)

    assert failing.starts == attempts.MOST_FAILURES + 1
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
    monkeypatch.setattr(attempts, "MOST_FAILURES", 10**6)
    control.objects(alive, damage="starts of a query that always fails")


def test_a_dependency_that_is_away_is_waited_for_however_long():
    away = Job("bronze.a", [*[TransientError("broker away")] * 12, Query(LONG, None)])
    run(away, until=lambda: away.running is not None)

    assert away.starts == 13


def failing_beside_a_healthy_one(until: Any = lambda failing, healthy: healthy.seen > 20) -> tuple[Job, Job, list[str]]:
    """A query that finds an unsafe state in a batch, one that does not, and the error of the driver's end."""
    failing = Job("silver.a", [Query(0, "x")], failure=UnsafeState("a rule is broken", hint="mend it"))
    healthy = Job("bronze.b", [Query(LONG, None)])
    said = complaint(lambda: run(failing, healthy, until=lambda: until(failing, healthy.running)))
    return failing, healthy, said


def test_f34_an_unsafe_state_in_a_batch_stops_its_query_alone_and_the_driver_s_end_names_it():
    failing, healthy, said = failing_beside_a_healthy_one()
    assert said == ["UnsafeState: silver.a is stopped: a rule is broken"]
    assert (failing.starts, healthy.starts) == (1, 1)
    assert healthy.running.seen > 20
    assert healthy.running.stopped


def test_f34_control_a_supervisor_that_raises_stops_the_others_with_the_failing_one(monkeypatch, control):
    def stopped_too() -> list[str]:
        """Whether the healthy query was watched on after the other one had stopped."""
        _, healthy, said = failing_beside_a_healthy_one()
        return [] if healthy.running.seen > 20 else [f"bronze.b ended after {healthy.running.seen} looks: {said}"]

    def raising(self: Supervised, state: str, error: CorrentezaError) -> None:
        raise error

    control.holds(stopped_too)
    monkeypatch.setattr(Supervised, "_mark_stopped", raising)
    control.objects(stopped_too, damage="bronze.b ended after")


def refused_beside_a_healthy_one(error: CorrentezaError) -> list[str]:
    """Whether the healthy query was watched on, though the other one may not start; what the driver says at its end."""
    refused, healthy = Job("bronze.a", [error]), Job("bronze.b", [Query(LONG, None)])
    said = complaint(
        lambda: run(refused, healthy, until=lambda: healthy.running is not None and healthy.running.seen > 20)
    )
    assert refused.starts == 1
    seen = 0 if healthy.running is None else healthy.running.seen
    assert said, "the driver's end tells of the refusal"
    return [] if seen > 20 and "bronze.a is stopped" in said[0] else [f"bronze.b ended after {seen} looks: {said}"]


def test_f21_control_a_refusal_that_is_raised_at_the_start_keeps_the_others_from_running(monkeypatch, control):
    refusal = UnsafeState("its checkpoint is lost")
    control.holds(refused_beside_a_healthy_one, refusal)

    def raising(self: Supervised, state: str, error: CorrentezaError) -> None:
        raise error

    monkeypatch.setattr(Supervised, "_mark_stopped", raising)
    control.objects(refused_beside_a_healthy_one, refusal, damage="bronze.b ended after 0 looks")


def test_a_table_that_another_driver_writes_ends_the_driver_and_leaves_no_note_in_its_checkpoint():
    noted: list[str] = []
    taken = Supervised(
        Job("bronze.a", [TableIsTakenError("held")]), {}, lambda query, state, error: noted.append(query)
    )
    with pytest.raises(TableIsTakenError):
        taken.start()
    assert noted == []


def test_a_refusal_at_a_restart_stops_the_query_alone():
    job = Job("bronze.a", [Query(2, "boom"), UnsafeState("the topic was recreated")])
    other = Job("bronze.b", [Query(LONG, None)])
    said = complaint(lambda: run(job, other, until=lambda: job.starts == 2 and other.running.seen > 20))
    assert said == ["UnsafeState: bronze.a is stopped: the topic was recreated"]


def test_draining_brings_the_others_up_to_date_before_it_names_one_that_may_not_start():
    jobs = [Job("silver.a", [UnsafeState("lost")]), *(Job(f"silver.{n}", [Query(3, None)]) for n in range(3))]
    done = bring_up_to_date(jobs, at_once=1, stop=threading.Event())
    assert (sorted(done.rows), list(done.stopped)) == (["silver.0", "silver.1", "silver.2", "silver.a"], ["silver.a"])


def test_a_check_that_names_a_query_stops_it_alone_in_the_midst_of_a_batch_and_for_good(monkeypatch):
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)
    gone, other = Job("bronze.a", [Query(LONG, None)]), Job("bronze.b", [Query(LONG, None)])
    checks: list[int] = []

    def check() -> dict[str, UnsafeState]:
        gone.running.busy = True
        checks.append(1)
        return {"bronze.a": UnsafeState("topic recreated")}

    def seen_on() -> bool:
        return len(checks) > 3 and gone.running.stopped and other.running.seen > 20

    said = complaint(lambda: run(gone, other, until=seen_on, check=check))
    assert said == ["UnsafeState: bronze.a is stopped: topic recreated"]
    assert (gone.starts, other.starts) == (1, 1)


def test_when_every_query_may_not_go_on_the_driver_ends_at_once(monkeypatch):
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)
    jobs = [Job(name, [Query(LONG, None)]) for name in ("bronze.a", "bronze.b")]
    unsafe = {job.name: UnsafeState("topic recreated") for job in jobs}
    with pytest.raises(UnsafeState, match=r"bronze\.a is stopped.*bronze\.b is stopped"):
        run(*jobs, until=lambda: False, check=lambda: unsafe)
    assert all(job.running.stopped for job in jobs)


def test_when_every_query_has_stopped_the_driver_ends():
    jobs = [Job(name, [Query(0, "x")], failure=UnsafeState("a rule is broken")) for name in ("silver.a", "silver.b")]
    with pytest.raises(UnsafeState, match=r"silver\.a is stopped.*silver\.b is stopped"):
        run(*jobs, until=lambda: False)


def test_draining_brings_the_others_up_to_date_before_it_names_the_one_that_has_stopped():
    failing = Job("silver.a", [Query(0, "x")], failure=UnsafeState("a rule is broken"))
    jobs = [failing, *(Job(f"silver.{n}", [Query(3, None)]) for n in range(3))]
    noted: list[tuple[str, str]] = []
    done = bring_up_to_date(
        jobs, at_once=1, stop=threading.Event(), note=lambda query, state, error: noted.append((query, state))
    )
    assert done.rows.keys() == {"silver.a", "silver.0", "silver.1", "silver.2"}
    assert (list(done.stopped), noted) == (["silver.a"], [("silver.a", "stopped")])


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), DeltaError("the log is being written")])
def test_an_error_of_the_system_or_of_delta_at_a_start_delays_its_job_alone(error):
    job = Job("bronze.a", [error, Query(LONG, None)])
    other = Job("bronze.b", [Query(LONG, None)])
    run(job, other, until=lambda: job.starts == 2)
    assert other.starts == 1


@pytest.mark.parametrize("error", [OSError(5, "gone away: a disk"), DeltaError("gone away: a log")])
def test_control_a_supervisor_that_knows_spark_s_errors_alone_ends_with_the_others(monkeypatch, control, error):
    def ended() -> list[str]:
        job = Job("bronze.a", [error, Query(LONG, None)])
        return complaint(lambda: run(job, Job("bronze.b", [Query(LONG, None)]), until=lambda: job.starts == 2))

    control.holds(ended)
    monkeypatch.setattr(supervised, "PASSING", (Py4JError, PySparkException))
    control.objects(ended, damage="gone away: a")


def test_a_cause_that_was_repaired_counts_as_no_failure():
    job = Job("bronze.a", [*[Query(0, "asks") for _ in range(20)], Query(LONG, None)], repairs=True)
    run(job, until=lambda: job.starts == 21)


def test_a_cause_that_cannot_be_repaired_yet_is_tried_again_before_the_start():
    job = Job("bronze.a", [Query(0, "asks"), Query(LONG, None)], repairs=TransientError("registry away"))
    polls = []

    def registry_comes_back() -> bool:
        polls.append(job.starts)
        if len(polls) == 200:
            job.repairs = True
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


def test_a_query_whose_batches_follow_one_another_ends_before_the_next_one_to_change_its_pace(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 3600.0)  # so long a failure would be put off
    first, paced = Query(LONG, None), Pace(1.0)
    first.busy = True
    job = Job("bronze.a", [first, Query(LONG, None)])
    kept = Supervised(job, paced)
    kept.start()
    paced.slow_seconds = 15.0
    wait_for(lambda: kept.watch() or job.starts == 2, "it is started again")
    assert job.trigger == paced.trigger
    assert not first.stopped


def test_a_check_that_finds_something_unsafe_stops_the_driver(monkeypatch):
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)

    def check() -> dict[str, UnsafeState]:
        raise UnsafeState("topic recreated")

    job = Job("bronze.a", [Query(LONG, None)])
    with pytest.raises(UnsafeState, match="recreated"):
        run(job, until=lambda: False, check=check)
    assert job.running.stopped


def test_the_pause_doubles_and_old_failures_do_not_count(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(attempts, "LONGEST_PAUSE_SECONDS", 60.0)
    tries, error = Attempts(), CorrentezaError("x")

    assert [tries.pause(error, now) for now in (0.0, 1.0, 2.0)] == [1.0, 2.0, 4.0]
    assert tries.pause(error, attempts.WITHIN_SECONDS + 10) == 1.0


def test_draining_runs_a_few_at_once_and_each_to_its_end():
    jobs = [Job(f"gold.{n}", [Query(3, None)]) for n in range(5)]
    assert set(drain(jobs, at_once=2, stop=threading.Event())) == {f"gold.{n}" for n in range(5)}


def test_draining_that_is_stopped_is_reported_as_unfinished():
    stop = threading.Event()
    stop.set()
    with pytest.raises(CorrentezaError, match="stopped before"):
        drain([Job("gold.a", [Query(LONG, None)])], at_once=1, stop=stop)


def test_failures_of_a_dependency_do_not_count_against_the_job():
    tries = Attempts()
    for now in range(20):
        tries.pause(TransientError("away"), float(now))
    assert tries.pause(CorrentezaError("boom"), 21.0) == attempts.FIRST_PAUSE_SECONDS


def test_f28_a_full_disk_is_waited_for_however_long_it_stays_full():
    tries = Attempts()
    full = CorrentezaError("bronze.a failed: java.io.IOException: No space left on device")
    assert {tries.pause(full, float(now)) for now in range(100)} <= {0.001, 0.002, 0.004, 0.008, 0.01}


def test_f28_control_another_failure_is_given_up_after_some_tries(control):
    def given_up(said: str) -> list[str]:
        tries, error = Attempts(), CorrentezaError(said)
        return complaint(lambda: [tries.pause(error, float(now)) for now in range(attempts.MOST_FAILURES + 1)])

    control.holds(given_up, "bronze.a failed: java.io.IOException: No space left on device")
    control.objects(given_up, "the disk is read-only", damage="the disk is read-only")


class BatchQuery(Query):
    """A query in the middle of a batch, which ends after some looks at it; it notes whether it was stopped before."""

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
    keep_running([supervised], ordered, dict, stop_seconds=stop_seconds)


def cut(query: BatchQuery) -> list[str]:
    """How a query ended."""
    wrong = [] if query.stopped else ["it was not stopped"]
    return [*wrong, "its batch was cut"] if query.cut else wrong


def test_f33_a_batch_under_way_is_finished_before_its_query_is_stopped():
    query = BatchQuery(3)
    told_to_stop(query, 600)
    assert cut(query) == []


def test_f33_control_a_driver_with_a_stop_timeout_of_zero_interrupts_the_batch(control):
    patient, hasty = BatchQuery(3), BatchQuery(LONG)
    told_to_stop(patient, 600)
    control.holds(cut, patient)
    told_to_stop(hasty, 0)
    control.objects(cut, hasty, damage="its batch was cut")


class HangingQuery(Query):
    """A query whose batch does not end, nor does the call that stops it, until it is released."""

    MOST_SECONDS = 60.0

    def __init__(self) -> None:
        super().__init__(LONG, None)
        self.busy = True
        self.ended = False
        self.let_go = threading.Event()

    def stop(self) -> None:
        self.let_go.wait(self.MOST_SECONDS)
        self.ended = True


def stopped_beside_a_hanging_one(stop_seconds: float, *others: Job) -> Supervised:
    """The hanging query, after an order to stop; its batch has not ended yet."""
    stuck = Job("bronze.stuck", [HangingQuery()])
    supervised = [Supervised(each, {}) for each in (stuck, *others)]
    for each in supervised:
        each.start()
    ordered = threading.Event()
    ordered.set()
    keep_running(supervised, ordered, dict, stop_seconds=stop_seconds)
    return supervised[0]


def waited_for(stuck: Supervised) -> list[str]:
    """What the end of the driver waited for."""
    return ["it waited until the batch ended"] if stuck.job.running.ended else []


def test_f33_a_batch_that_outlasts_the_stop_timeout_is_abandoned_and_the_others_are_stopped(monkeypatch):
    monkeypatch.setattr(stopping, "END_SECONDS", 0.1)
    other = Job("bronze.other", [Query(LONG, None)])
    stuck = stopped_beside_a_hanging_one(0.2, other)

    assert waited_for(stuck) == []
    assert stuck.abandoned
    assert other.running.stopped
    stuck.job.running.let_go.set()


def test_f33_control_without_a_bound_on_spark_s_own_stop_the_end_waits_for_the_batch(monkeypatch, control):
    with monkeypatch.context() as patch:
        patch.setattr(stopping, "END_SECONDS", 0.1)
        bounded = stopped_beside_a_hanging_one(0.0)
    control.holds(waited_for, bounded)
    bounded.job.running.let_go.set()

    monkeypatch.setattr(stopping, "END_SECONDS", 10**6)
    monkeypatch.setattr(HangingQuery, "MOST_SECONDS", 1.0)
    control.objects(waited_for, stopped_beside_a_hanging_one(0.0), damage="it waited until the batch ended")


def test_f34_after_an_error_neither_a_long_batch_nor_a_hanging_check_delays_the_end(monkeypatch):
    assert stopping.ERROR_STOP_SECONDS + stopping.END_SECONDS < 10, "what runs a driver must hear of it soon"
    monkeypatch.setattr(stopping, "ERROR_STOP_SECONDS", 0.1)
    monkeypatch.setattr(stopping, "END_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.0)
    let_go, stuck = threading.Event(), HangingQuery()
    checked: list[bool] = []
    with pytest.raises(CorrentezaError) as given_up:
        run(
            Job("silver.a", [Query(0, "boom")]),
            Job("silver.b", [stuck]),
            until=lambda: False,
            check=lambda: checked.append(let_go.wait(PATIENCE_SECONDS)),
        )
    assert (stuck.ended, checked) == (False, []), "it waited for one of them"
    let_go.set()
    stuck.let_go.set()

    assert "correnteza checkpoint inspect silver.a" in given_up.value.hint
    assert "boom" in given_up.value.hint


class LongBatchQuery(Query):
    """A query whose one batch never ends by itself; a task of it ends at every look, or none does."""

    def __init__(self, *, ends_tasks: bool) -> None:
        super().__init__(LONG, None)
        self.busy = True
        self.ends_tasks = ends_tasks

    def lastProgress(self) -> None:  # noqa: N802
        self.tasks += self.ends_tasks


def left_hanging(seconds: float = 0.2) -> list[str]:
    """Whether a query whose batch makes no progress goes on as it is while another one is watched for so long."""
    first = LongBatchQuery(ends_tasks=False)
    stuck = Job("silver.a", [first, Query(LONG, None)])
    other = Job("bronze.b", [Query(LONG, None)])
    until = time.monotonic() + seconds

    def enough() -> bool:
        first.busy = stuck.starts == 1 and time.monotonic() < until  # so that its end is not waited for
        return not first.busy

    run(stuck, other, until=enough)
    assert other.starts == 1
    return [f"the batch of {stuck.name} still makes no progress"] if stuck.starts == 1 else []


def test_a_batch_without_progress_is_stopped_and_its_query_started_again(monkeypatch):
    monkeypatch.setattr(stalls, "STALL_SECONDS", 0.05)
    noted: list[str] = []
    first = LongBatchQuery(ends_tasks=False)
    job = Job("silver.a", [first, Query(LONG, None)])
    supervised = Supervised(job, {}, lambda query, state, error: noted.append(f"{query} {state}: {error}"))
    supervised.start()
    wait_for(lambda: supervised.watch() or job.starts == 2, "it is started again")
    assert first.stopped
    assert noted[0].startswith("silver.a stalled: silver.a: its batch has made no progress")
    assert supervised.stopped_by is None


def test_control_without_the_bound_the_batch_is_waited_for_for_ever(monkeypatch, control):
    with monkeypatch.context() as patch:
        patch.setattr(stalls, "STALL_SECONDS", 0.05)
        control.holds(left_hanging, 60)
    monkeypatch.setattr(stalls, "STALL_SECONDS", 10**6)
    control.objects(left_hanging, damage="the batch of silver.a still makes no progress")


def test_a_long_batch_whose_tasks_end_is_left_alone(monkeypatch):
    monkeypatch.setattr(stalls, "STALL_SECONDS", 1.0)
    busy = LongBatchQuery(ends_tasks=True)
    job = Job("silver.a", [busy])
    until = time.monotonic() + 2.0

    def enough() -> bool:
        busy.busy = time.monotonic() < until or busy.tasks <= 10  # so that its end is not waited for
        return not busy.busy

    run(job, until=enough)
    assert job.starts == 1
    assert busy.tasks > 10


def test_a_query_that_does_not_end_is_not_started_a_second_time_and_the_driver_s_end_names_it(monkeypatch):
    """Its batch may still write: a second one beside it would be a second writer."""
    monkeypatch.setattr(stalls, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(stopping, "END_SECONDS", 0.1)
    stuck = HangingQuery()
    job, other = Job("silver.a", [stuck, Query(LONG, None)]), Job("bronze.b", [Query(LONG, None)])

    def enough() -> bool:
        stuck.busy = other.running.seen <= 200  # so that its end is not waited for
        return not stuck.busy

    with pytest.raises(CorrentezaError, match=r"silver\.a is stopped: .* no progress"):
        run(job, other, until=enough)
    assert (job.starts, other.starts) == (1, 1)
    stuck.let_go.set()
