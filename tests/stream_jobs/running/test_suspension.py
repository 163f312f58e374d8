"""A query that finds nothing is suspended, and new rows start it again: nothing is left unread."""

import threading
from collections.abc import Hashable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import structlog
from deltalake import DeltaTable, Schema
from pyspark.sql import SparkSession

from foundation.errors import TransientError
from schemas.contracts import load, load_all
from stream_jobs.running import input_state, suspension
from stream_jobs.running.driver import StreamDriver
from stream_jobs.running.input_state import TableVersions, TopicEnds
from stream_jobs.running.suspension import Suspension
from tests.helpers import PATIENCE_SECONDS, still, wait_for
from tests.samples import sample
from tests.supervised import kept_running

START = datetime(2025, 1, 1, tzinfo=UTC)
DATASET = "inmet_stations"
FOUND_NOTHING = "spark.sql.streaming.noDataProgressEventInterval"
"""Milliseconds without a row after which Spark says so."""


class Clock:
    """Both clocks that `rest` asks, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return START.timestamp() + self.seconds

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(suspension, "time", made)
    return made


def after(clock: Clock, suspension: Suspension, seconds: float, *, rows: int = 0, looked: bool = True) -> bool:
    """Whether a query may be suspended so many seconds later, having looked at its inputs just now or never."""
    clock.seconds += seconds
    return suspension.is_due(rows, clock.now if looked else None)


def test_a_query_is_suspended_once_it_has_looked_at_the_same_inputs_long_enough(clock):
    suspension = Suspension(lambda: "same")
    assert [after(clock, suspension, seconds) for seconds in (0, 59, 1)] == [False, False, True]


def test_rows_and_changed_inputs_restart_the_idle_time(clock):
    state = ["a"]
    suspension = Suspension(lambda: state[0])
    assert not after(clock, suspension, 0)
    assert not after(clock, suspension, 59, rows=5)
    assert not after(clock, suspension, 59, rows=5)
    state[0] = "b"
    assert not after(clock, suspension, 59, rows=5)
    assert after(clock, suspension, 60, rows=5)


def test_a_query_that_has_not_looked_since_its_inputs_changed_is_not_suspended(clock):
    """It may hang, or be slow: what stands in its inputs is then unread."""
    suspension = Suspension(lambda: "same")
    after(clock, suspension, 0)
    looked_before = clock.now
    clock.seconds = 600
    assert not suspension.is_due(0, looked_before)
    assert not suspension.is_due(0, None)
    assert suspension.is_due(0, clock.now)


def test_nothing_is_decided_while_the_inputs_are_not_known(clock):
    state: list[Any] = [None]
    suspension = Suspension(lambda: state[0])
    assert [after(clock, suspension, 60) for _ in range(3)] == [False, False, False]
    state[0] = "a"
    assert [after(clock, suspension, 60) for _ in range(2)] == [False, True]
    state[0] = None
    assert not suspension.is_over()
    state[0] = "a"
    assert not suspension.is_over()
    state[0] = "b"
    assert suspension.is_over()


def test_one_that_would_find_nothing_is_suspended_from_the_beginning_and_new_rows_start_it(clock):
    state: list[Any] = [None]
    suspension = Suspension(lambda: state[0])
    assert not suspension.may_begin(lambda: False), "its inputs are not known"
    state[0] = "a"
    assert not suspension.may_begin(lambda: True)

    def nothing_yet() -> bool:
        state[0] = "b"  # it comes in the middle of the look, which does not see it
        return False

    assert suspension.may_begin(nothing_yet)
    assert suspension.is_over()


def test_every_commit_of_a_table_changes_what_is_compared(tmp_path):
    there, absent = str(tmp_path / "there"), str(tmp_path / "absent")
    schema = Schema.from_arrow(pa.schema([("a", pa.int64())]))
    made = DeltaTable.create(there, schema)
    state = partial(TableVersions().of, there, absent)
    assert state() == (0, -1)
    for _ in range(2):
        made.create_write_transaction([], mode="append", schema=schema, partition_by=[])
        made.update_incremental()
    assert state() == (2, -1)
    DeltaTable.create(absent, schema)
    assert state() == (2, 0)


def test_ends_are_not_known_while_the_broker_is_away(monkeypatch):
    answers: list[Any] = [{"a": {0: 5}}, TransientError("away"), {"a": {0: 6}}]
    seen = []

    def ends(admin: Any, topics: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(input_state, "ends", ends)
    monkeypatch.setattr(input_state, "LOOK_SECONDS", 0)
    told = TopicEnds(SimpleNamespace(bootstrap="localhost:1"), ["a"])

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen.append(told.of("a"))
            return not answers

    told._ask(Stop())
    assert seen == [None, {(0, 5)}, None, {(0, 6)}]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are suspended at the first report of Spark that they found nothing."""
    monkeypatch.setattr(suspension, "SUSPEND_AFTER_SECONDS", 0.5)


@pytest.mark.integration
@pytest.mark.usefixtures("soon")
def test_bronze_and_silver_are_suspended_and_new_rows_reach_both(pipeline):
    pipeline.publish(DATASET, station(1))
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    stop = threading.Event()
    ends = TopicEnds(pipeline.broker, [bronze.topic])
    ends.watch(stop)
    inputs = partial(TableVersions().of, *map(pipeline.places.table, silver.inputs))
    with kept_running(bronze, silver, states=[lambda: ends.of(bronze.topic), inputs]) as kept:
        for number in (2, 3):
            wait_for(lambda: all(not job.queries[-1].isActive for job in kept), "both to rest")
            pipeline.publish(DATASET, station(number))
            wait_for(lambda n=number: len(pipeline.rows(silver.name)) == n, "the new row in silver")
        assert [len(job.queries) for job in kept] == [3, 3]
        assert [job.failures for job in kept] == [[], []]
    stop.set()


@pytest.mark.integration
def test_a_driver_starts_only_the_queries_that_find_something_and_the_others_once_they_would(pipeline):
    """Nothing was published to the one topic before the driver began, and it has a table even so."""
    pipeline.declare(*load_all())
    pipeline.publish(DATASET, station(1))
    pipeline.driver.locks.release()
    driver = StreamDriver(
        pipeline.spark, pipeline.places, broker=pipeline.broker, registry=pipeline.registry, layers=["bronze"]
    )
    stop = threading.Event()
    intervals = {"bronze": 1.0}
    thread = threading.Thread(target=driver.run, args=(stop, intervals), kwargs={"maintenance_seconds": 3600.0})
    with structlog.testing.capture_logs() as said:
        thread.start()
        try:
            wait_for(lambda: any(line["event"] == "driver_ready" for line in said), "the ready line")
            wait_for(lambda: len(pipeline.rows(f"bronze.{DATASET}")) == 1, "the row")
            (ready,) = (line for line in said if line["event"] == "driver_ready")
            assert ready["queries"] - ready["resting"] == 1
            assert [query.name for query in pipeline.spark.streams.active] == [f"bronze.{DATASET}"]
            assert pipeline.rows("bronze.ibge_municipalities") == []

            pipeline.publish("ibge_municipalities", sample(load("ibge_municipalities"), 1))
            wait_for(lambda: len(pipeline.rows("bronze.ibge_municipalities")) == 1, "the row of the other")
        finally:
            stop.set()
            thread.join(120)


def unread(pipeline: Any, published: int) -> list[str]:
    """The oracle: every published row is in bronze."""
    missing = published - len(pipeline.rows(f"bronze.{DATASET}"))
    return [f"{missing} rows are left unread"] if missing else []


@pytest.fixture
def said_soon(spark: SparkSession) -> Iterator[None]:
    """Spark says after a second, and not after ten, that a query found nothing."""
    spark.conf.set(FOUND_NOTHING, "1000")
    yield
    spark.conf.unset(FOUND_NOTHING)


@pytest.mark.integration
@pytest.mark.usefixtures("soon", "said_soon")
def test_control_inputs_that_seem_unchanged_leave_new_rows_unread(pipeline, control):
    pipeline.publish(DATASET, station(1))
    bronze = pipeline.bronze(DATASET)
    asked, is_real, stop = 0, True, threading.Event()
    ends = TopicEnds(pipeline.broker, [bronze.topic])
    ends.watch(stop)

    def state() -> Hashable | None:
        nonlocal asked
        asked += not is_real
        return ends.of(bronze.topic) if is_real else "same"

    with kept_running(bronze, states=[state]) as kept:
        wait_for(lambda: not kept[0].queries[-1].isActive, "bronze to rest")
        pipeline.publish(DATASET, station(2))
        control.holds(still, lambda: unread(pipeline, 2), PATIENCE_SECONDS)

        is_real = False
        # Where it rested, the first other answer is a change, and it has been started when the second one is asked for.
        wait_for(lambda: asked >= 2 and not kept[0].queries[-1].isActive, "bronze to rest again")
        pipeline.publish(DATASET, station(3))
        control.objects(still, lambda: unread(pipeline, 3), 5, damage="1 rows are left unread")
    stop.set()


def station(number: int) -> dict[str, Any]:
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1)}
