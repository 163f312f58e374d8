"""A query looks more rarely while few records come all the time, and at full pace when many or rare ones come."""

from types import SimpleNamespace

import pytest

from stream_jobs.running import pace
from stream_jobs.running.pace import Pace, Read

SECOND = {"processingTime": "1000 milliseconds"}
FIFTEEN_SECONDS = {"processingTime": "15000 milliseconds"}
HALF_A_MINUTE = {"processingTime": "30000 milliseconds"}
A_MINUTE = {"processingTime": "60000 milliseconds"}


class Query:
    """The rows that a paced query reads, by a clock that the test advances."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 1.0) -> None:
        self._now, self._read = 1_000.0, Read()
        clock = SimpleNamespace(monotonic=lambda: self._now, time=lambda: self._now)
        monkeypatch.setattr(pace, "time", clock)
        self.pace = Pace(seconds)

    def reads(self, seconds: int, *, rows: int, every: float | None = None, taking: float = 0.1) -> None:
        """Let time pass; at every look, or every so many seconds, there are so many rows, which take a batch."""
        due = self._now
        for _ in range(seconds):
            self._now += 1
            if self._now >= due:
                self._read = Read(self._read.batches + 1, self._read.rows + rows, self._read.seconds + taking)
                due = self._now + (every or self.pace.interval)
            self.pace.observe(self._read)

    def is_restarted(self) -> None:
        """As the supervisor does after a change."""
        self._read = Read()
        self.pace.begin()


@pytest.fixture
def query(monkeypatch: pytest.MonkeyPatch) -> Query:
    return Query(monkeypatch)


def test_few_rows_that_come_all_the_time_are_read_more_rarely(query):
    query.reads(59, rows=1)
    assert query.pace.trigger == SECOND
    query.reads(2, rows=1)
    assert query.pace.trigger == FIFTEEN_SECONDS
    query.is_restarted()
    query.reads(600, rows=5)
    assert query.pace.trigger == FIFTEEN_SECONDS


def test_batches_that_take_longer_than_the_interval_come_all_the_time_though_they_are_few(query):
    query.reads(61, rows=1, every=10, taking=9.5)
    assert query.pace.trigger == FIFTEEN_SECONDS


@pytest.mark.parametrize(
    ("taking", "trigger"), [(3, FIFTEEN_SECONDS), (5, HALF_A_MINUTE), (20, A_MINUTE), (90, A_MINUTE)]
)
def test_a_query_that_is_busy_with_few_rows_looks_even_more_rarely_but_once_a_minute(query, taking, trigger):
    query.reads(61, rows=1)
    for _ in range(5):
        query.is_restarted()
        query.reads(121, rows=9, taking=taking)
    assert query.pace.trigger == trigger


def test_a_query_that_was_busy_for_a_while_looks_as_often_as_before(query):
    query.reads(61, rows=1)
    query.reads(300, rows=9, taking=20)
    assert query.pace.trigger == A_MINUTE
    query.reads(300, rows=9, taking=1)
    assert query.pace.trigger == FIFTEEN_SECONDS


def test_nine_rows_a_second_that_come_once_a_minute_are_few(query):
    query.reads(61, rows=1)
    for _ in range(4):
        query.reads(240, rows=int(9 * query.pace.interval), taking=20)
    assert query.pace.trigger == A_MINUTE


@pytest.mark.parametrize("rows", [11, 1000])
def test_many_rows_are_read_at_full_pace(query, rows):
    query.reads(600, rows=rows)
    assert query.pace.trigger == SECOND


@pytest.mark.parametrize("every", [3, 60])
def test_what_comes_now_and_then_is_read_at_full_pace(query, every):
    query.reads(600, rows=1, every=every)
    assert query.pace.trigger == SECOND


def test_many_rows_bring_the_full_pace_back_at_once(query):
    query.reads(61, rows=1)
    query.is_restarted()
    query.reads(5, rows=601)
    assert query.pace.trigger == SECOND


def test_what_has_become_rare_is_read_at_full_pace_again(query):
    query.reads(61, rows=1)
    query.is_restarted()
    query.reads(61, rows=1, every=60)
    assert query.pace.trigger == SECOND


def test_a_query_that_was_suspended_begins_at_full_pace(query):
    query.reads(61, rows=1)
    query.pace.begin(at_full_pace=True)
    assert query.pace.trigger == SECOND


def test_an_interval_that_is_longer_stays(monkeypatch):
    query = Query(monkeypatch, seconds=30)
    query.reads(600, rows=1)
    assert query.pace.trigger == {"processingTime": "30000 milliseconds"}


def test_a_query_is_restarted_between_two_batches_alone(monkeypatch):
    """Spark begins a batch at every whole second."""
    moment = SimpleNamespace(monotonic=lambda: 0.0, time=lambda: moment.now, now=10.0)
    monkeypatch.setattr(pace, "time", moment)
    found = []
    for moment.now in (10.1, 10.7, 10.9):
        found.append(Pace(1.0).is_between_batches())
    assert found == [True, True, False]
