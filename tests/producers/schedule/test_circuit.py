"""The circuit is a function of the failures in a row and the pause that the source asked for."""

from datetime import UTC, datetime, timedelta

from producers.schedule.circuit import LONGEST, LONGEST_ASKED_FOR, State, open_until, state

NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_two_failures_leave_it_closed_and_the_third_opens_it_for_a_quarter_of_an_hour():
    assert [open_until(failures, NOON, None) for failures in (1, 2)] == [None, None]
    assert open_until(3, NOON, None) == NOON + 15 * MINUTE


def test_each_further_failure_doubles_the_time_up_to_six_hours():
    opened = [open_until(failures, NOON, None) - NOON for failures in (4, 5, 6, 7, 8, 500)]
    assert opened == [30 * MINUTE, 60 * MINUTE, 120 * MINUTE, 240 * MINUTE, LONGEST, LONGEST]


def test_what_the_source_asks_for_opens_it_at_the_first_failure():
    assert open_until(1, NOON, NOON + 20 * MINUTE) == NOON + 20 * MINUTE


def test_the_longer_of_both_waits_counts():
    assert open_until(5, NOON, NOON + 20 * MINUTE) == NOON + 60 * MINUTE


def test_a_wait_that_a_source_asks_for_is_bounded():
    assert open_until(1, NOON, NOON + timedelta(days=400)) == NOON + LONGEST_ASKED_FOR


def test_it_is_half_open_when_its_time_is_over():
    until = NOON + 15 * MINUTE
    assert [state(None, NOON), state(until, NOON), state(until, until)] == [State.CLOSED, State.OPEN, State.HALF_OPEN]
