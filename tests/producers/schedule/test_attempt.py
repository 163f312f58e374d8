"""One request is skipped, left or polled; then the next request is put back, and the outcome is recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from foundation.errors import FencedError, InvalidContent, TransientError
from producers import sources
from producers.fetch.answers import ThrottledError
from producers.poll import Outcome
from producers.schedule.attempt import attempt
from producers.schedule.outcomes import Record, Result
from producers.schedule.requests import MOST_FAILURES, PollRequest
from producers.session import Tally

SOURCE = sources.load("openmeteo_forecast")  # every three hours, at minute 23
SLOT = datetime(2025, 11, 10, 0, 23, tzinfo=UTC)
NOW = SLOT + timedelta(minutes=1)
REQUEST = PollRequest(SOURCE.name, SLOT)
AWAY = TransientError("away")


class RequestStore:
    """The queue topics, in memory: what was written, in order."""

    def __init__(self) -> None:
        self.written: list[PollRequest | Record] = []
        self.given_up: list[PollRequest] = []
        self.outcomes = self

    def newest(self) -> dict[str, Record]:
        return {record.source: record for record in self.records}

    def write(self, records: list[Record]) -> None:
        self.written += records

    def put_back(self, request: PollRequest) -> None:
        self.written.append(request)

    def give_up(self, request: PollRequest) -> None:
        self.given_up.append(request)

    @property
    def records(self) -> list[Record]:
        return [each for each in self.written if isinstance(each, Record)]

    @property
    def put_backs(self) -> list[PollRequest]:
        return [each for each in self.written if isinstance(each, PollRequest)]


@pytest.fixture
def store() -> RequestStore:
    return RequestStore()


def answering(error=None, *, rows=0, is_stopped=False):
    """A poll that ends like this; `asked` says how often it was made."""

    def poll(now):
        poll.asked += 1
        return Outcome(SOURCE.name, "slot", Tally(rows=rows, parts=bool(rows)), 0.1, error, is_stopped)

    poll.asked = 0
    return poll


def work_off(store, request, poll, now=NOW):
    return attempt(SOURCE, request, store, poll, now=lambda: now)


@pytest.mark.parametrize(
    ("poll", "result"),
    [
        (answering(rows=3), "published"),
        (answering(), "no_news"),
        (answering(AWAY), "failed"),
        (answering(InvalidContent("a page")), "invalid"),
        (answering(ThrottledError("slower", until=NOW + timedelta(hours=1), wait=3600.0)), "throttled"),
        (answering(is_stopped=True), "stopped"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_every_end_of_a_poll_has_its_name(store, poll, result):
    assert work_off(store, REQUEST, poll).outcome == result


def test_the_time_of_the_last_new_rows_is_kept_by_later_polls_without_any(store):
    first = work_off(store, REQUEST, answering(rows=3))
    later = SLOT + timedelta(hours=3)
    second = work_off(store, PollRequest(SOURCE.name, later), answering(), later)
    assert (second.last_news_at, second.last_news_rows) == (first.ended_at, 3)
    assert second.last_success_at == later


def test_a_request_that_was_done_is_not_polled_again(store):
    poll = answering(rows=3)
    work_off(store, REQUEST, poll)
    assert work_off(store, REQUEST, poll) is None
    assert poll.asked == 1


def test_the_older_slots_of_a_source_are_covered_by_one_poll(store):
    """Three slots are due when the first request is worked off: one poll, an outcome for each."""
    poll, late = answering(rows=3), SLOT + timedelta(hours=7)
    for missed in range(3):
        work_off(store, PollRequest(SOURCE.name, SLOT + timedelta(hours=3 * missed)), poll, late)
    assert poll.asked == 1
    assert [(record.slot_id[-9:], record.outcome, record.rows) for record in store.records] == [
        ("00:23:00Z", "covered", 0),
        ("03:23:00Z", "covered", 0),
        ("06:23:00Z", "published", 3),
    ]


def test_a_slot_that_waited_since_the_last_one_is_covered_too(store):
    work_off(store, REQUEST, answering())
    late = SLOT + timedelta(hours=6)
    work_off(store, PollRequest(SOURCE.name, late), answering(), late)
    assert [record.outcome for record in store.records] == ["no_news", "covered", "no_news"]


def test_a_clock_that_lags_behind_the_leaders_polls_for_the_slot_asked_for(store):
    seen = []

    def poll(now):
        seen.append(now())
        return answering()(now)

    record = work_off(store, REQUEST, poll, SLOT - timedelta(hours=1))
    assert (record.scheduled_for, seen) == (SLOT, [SLOT])


def test_a_request_from_a_clock_years_ahead_is_given_up_and_not_polled(store):
    poll = answering()
    assert work_off(store, replace(REQUEST, scheduled_for=SLOT + timedelta(days=5000)), poll) is None
    assert (poll.asked, len(store.given_up)) == (0, 1)


def test_an_outcome_of_a_clock_years_ahead_stops_nothing(store):
    late = SLOT + timedelta(days=5000)
    work_off(store, replace(REQUEST, scheduled_for=late), answering(), late)
    assert work_off(store, REQUEST, answering(rows=3)).outcome == "published"


def test_a_failed_poll_is_put_back_before_it_is_recorded(store):
    """If the process is killed between the two, the request is delivered again and not lost."""
    work_off(store, REQUEST, answering(AWAY))
    put_back, record = store.written
    assert put_back == replace(REQUEST, attempt=2, failures=1, not_before=NOW + timedelta(minutes=2))
    assert (record.outcome, record.consecutive_failures) == ("failed", 1)


def test_a_request_is_given_up_after_six_failures(store):
    request, poll, now = REQUEST, answering(AWAY), NOW
    while not store.given_up:
        work_off(store, request, poll, now)
        request = store.put_backs[-1]
        now = request.not_before
    assert poll.asked == MOST_FAILURES
    assert store.given_up[0].failures == MOST_FAILURES


def fail(store, times):
    """So many failures in a row; returns the request put back last."""
    request = REQUEST
    for _ in range(times):
        work_off(store, request, answering(AWAY), request.not_before or NOW)
        request = store.put_backs[-1]
    return request


def test_the_third_failure_opens_the_circuit_and_no_request_is_made_while_it_is_open(store):
    fail(store, 3)
    opened = store.records[-1]
    assert opened.circuit_open_until == opened.ended_at + timedelta(minutes=15)
    poll, early = answering(rows=3), opened.ended_at + timedelta(minutes=14)
    record = work_off(store, PollRequest(SOURCE.name, SLOT, attempt=9), poll, early)
    assert (poll.asked, record.outcome) == (0, "circuit_open")
    assert store.put_backs[-1].not_before == opened.circuit_open_until
    assert store.put_backs[-1].failures == 0


def test_the_next_request_after_the_circuits_time_asks_and_closes_it(store):
    request = fail(store, 3)
    record = work_off(store, request, answering(rows=3), request.not_before)
    assert (record.outcome, record.circuit_open_until, record.consecutive_failures) == ("published", None, 0)


def test_a_failure_while_half_open_opens_the_circuit_for_longer(store):
    fail(store, 4)
    assert store.records[-1].circuit_open_until == store.records[-1].ended_at + timedelta(minutes=30)


def test_a_wait_that_a_source_asks_for_is_applied_at_once(store):
    until = NOW + timedelta(hours=12)
    record = work_off(store, REQUEST, answering(ThrottledError("tomorrow", until=until, wait=43_200.0)))
    assert record.circuit_open_until == until
    assert store.put_backs[-1].not_before == until


def test_a_stopped_poll_comes_again_at_once_and_counts_as_no_failure(store):
    record = work_off(store, REQUEST, answering(is_stopped=True))
    assert store.put_backs == [replace(REQUEST, attempt=2, failures=0, not_before=NOW)]
    assert record.consecutive_failures == 0


def test_a_bug_in_a_source_is_a_failure_like_any_other(store):
    def poll(now):
        raise RuntimeError("a bug")

    record = work_off(store, REQUEST, poll)
    assert (record.outcome, record.error) == ("failed", "RuntimeError: a bug")
    assert len(store.put_backs) == 1


def fenced(now):
    raise FencedError("another one polls")


def test_a_fenced_poll_is_recorded_and_asked_again_at_the_next_slot_which_covers_it(store):
    """Put back, its producer would fence the other one in turn."""
    record = work_off(store, REQUEST, fenced)
    assert (record.outcome, record.error, record.consecutive_failures) == ("fenced", "another one polls", 0)
    assert store.put_backs == []
    late = SLOT + timedelta(hours=3)
    work_off(store, PollRequest(SOURCE.name, late), answering(rows=3), late)
    assert [(each.slot_id[-9:], each.outcome) for each in store.records] == [
        ("00:23:00Z", "fenced"),
        ("00:23:00Z", "covered"),
        ("03:23:00Z", "published"),
    ]


def test_a_request_whose_poll_was_fenced_is_polled_if_it_comes_again(store):
    """Whoever fenced it was killed before it had an outcome; its request goes to another worker."""
    work_off(store, REQUEST, fenced)
    assert work_off(store, REQUEST, answering(rows=3)).outcome == "published"
    assert work_off(store, REQUEST, answering(rows=3)) is None


def test_the_outcome_of_the_poll_that_fenced_stays_if_it_comes_first(store):
    def outrun(now):
        work_off(store, REQUEST, answering(rows=3))
        fenced(now)

    assert work_off(store, REQUEST, outrun) is None
    assert [record.outcome for record in store.records] == ["published"]


def partly_answering(now):
    """One of the source's resources fails, the others answer."""
    tally = Tally(rows=3, failed=["2927408"], has_answered=True)
    return Outcome(SOURCE.name, "slot", tally, 0.1, AWAY, False)


def test_a_single_failing_resource_opens_no_circuit_and_is_named(store):
    for day in range(5):
        slot = SLOT + timedelta(days=day)
        record = work_off(store, PollRequest(SOURCE.name, slot), partly_answering, slot)
        assert (record.outcome, record.failed, record.circuit_open_until) == ("failed", ("2927408",), None)
    assert record.last_news_at == record.ended_at


def test_a_resource_that_answers_closes_the_circuit(store):
    for day in range(3):
        slot = SLOT + timedelta(days=day)
        record = work_off(store, PollRequest(SOURCE.name, slot), answering(AWAY), slot)
    assert record.circuit_open_until is not None
    later = slot + timedelta(days=1)
    record = work_off(store, PollRequest(SOURCE.name, later), partly_answering, later)
    assert (record.consecutive_failures, record.circuit_open_until) == (0, None)


def test_an_error_is_kept_bounded(store):
    assert len(work_off(store, REQUEST, answering(TransientError("x" * 10_000))).error) == 500


def test_reading_undoes_writing_and_ignores_fields_of_a_newer_release(store):
    record = work_off(store, REQUEST, answering(rows=3))
    assert Record.from_json(record.to_json()) == record
    assert Record.from_json(record.to_json().replace(b'{"source"', b'{"newer": 1, "source"')) == record
    assert isinstance(Record.from_json(record.to_json()).outcome, Result)


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b'{"outcome": "published"}', b"[" * 100_000])
def test_what_is_no_record_is_a_value_error(value):
    with pytest.raises(ValueError, match="no outcome"):
        Record.from_json(value)
