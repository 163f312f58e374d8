"""What is due follows from the calendars, from the time, and from what Kafka says was emitted and done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.calendars import Calendar
from producers.schedule.requests import CATCH_UP, CATCH_UP_PER_TICK, LONGEST_WAIT, Emitted, PollRequest, due, wait_after

HOURLY = {"source": Calendar(("0 * * * *",))}
NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def request(hours: int = 0, attempt: int = 1, **fields) -> PollRequest:
    return PollRequest("source", NOON + hours * HOUR, attempt, **fields)


def after(*emitted: PollRequest) -> Emitted:
    facts = Emitted()
    for each in emitted:
        facts.add_request(each)
    return facts


def test_a_fresh_system_starts_at_the_latest_slot():
    assert Emitted().plan(HOURLY, NOON + timedelta(minutes=20)) == [request()]


def test_every_slot_since_the_last_emitted_one_is_emitted_in_order():
    assert after(request()).plan(HOURLY, NOON + 3 * HOUR) == [request(1), request(2), request(3)]


def test_what_is_emitted_is_not_emitted_again():
    assert after(request(), request(1)).plan(HOURLY, NOON + HOUR) == []


def test_a_slot_that_was_polled_by_hand_is_not_emitted():
    facts = after(request())
    facts.add_outcome("source", request(1).place)
    assert facts.plan(HOURLY, NOON + HOUR) == []


def test_two_leaders_of_one_moment_plan_the_same_requests():
    assert after(request()).plan(HOURLY, NOON + 2 * HOUR) == after(request()).plan(HOURLY, NOON + 2 * HOUR)


def test_three_days_of_missed_slots_are_caught_up_a_bounded_number_a_tick():
    facts, now, ticks = after(request()), NOON + timedelta(days=3), 0
    while planned := facts.plan(HOURLY, now):
        assert len(planned) <= CATCH_UP_PER_TICK
        ticks += 1
        for each in planned:
            facts.add_request(each)
    assert ticks == 2
    assert facts.asked["source"][-1][0] == now


def test_slots_older_than_the_catch_up_are_left_to_the_poll_that_covers_them():
    planned = due(HOURLY["source"], NOON - timedelta(days=365), NOON)
    assert planned[0] == NOON - CATCH_UP + HOUR


def test_a_request_put_back_is_emitted_when_its_time_has_come():
    facts = after(request())
    facts.add_outcome("source", request().place)
    again = request(attempt=2, failures=1, not_before=NOON + timedelta(minutes=2))
    facts.add_retry(again)
    assert facts.plan(HOURLY, NOON + timedelta(minutes=1)) == []
    assert facts.plan(HOURLY, NOON + timedelta(minutes=2)) == [again]
    facts.add_request(again)
    assert facts.plan(HOURLY, NOON + timedelta(minutes=3)) == []


def test_a_request_put_back_is_dropped_once_a_newer_slot_is_asked_for():
    facts = after(request())
    facts.add_retry(request(attempt=2, not_before=NOON + 2 * HOUR))
    facts.add_request(request(1))
    assert facts.plan(HOURLY, NOON + timedelta(hours=1, minutes=59)) == []


def test_what_a_clock_years_ahead_emitted_or_did_counts_for_nothing():
    facts = after(request(), replace(request(), scheduled_for=NOON + timedelta(days=5000)))
    facts.add_outcome("source", (NOON + timedelta(days=5000), 1))
    assert facts.plan(HOURLY, NOON + HOUR) == [request(1)]
    assert not facts.is_done(request(1), NOON + HOUR)


def test_sources_that_are_not_scheduled_here_are_not_emitted():
    facts = after(request())
    facts.add_retry(replace(request(attempt=2), source="another"))
    assert facts.plan(HOURLY, NOON) == []


def test_each_failure_doubles_the_wait_up_to_the_longest():
    waits = [wait_after(failures) for failures in range(1, 9)]
    assert waits[:3] == [timedelta(minutes=minutes) for minutes in (2, 4, 8)]
    assert max(waits) == LONGEST_WAIT == wait_after(10_000)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.integers(1, 100),
    st.integers(0, 6),
)
def test_reading_undoes_writing(moment, attempt, failures):
    written = PollRequest("source", moment, attempt, failures, moment + HOUR)
    assert PollRequest.from_json(written.to_json()) == written


@given(st.one_of(st.none(), st.binary(), st.sampled_from([b"{}", b"[1]", b"null", b'{"source": 1}', b"[" * 100_000])))
def test_what_is_no_request_is_a_value_error(value):
    with pytest.raises(ValueError, match="no poll request"):
        PollRequest.from_json(value)
