"""Slots come from calendars: the same for every process, summer time of past years included."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from producers.calendars import Calendar

CALENDARS = st.sampled_from(
    [
        Calendar(("0 */6 * * *",)),
        Calendar(("*/30 10-14 * * 1-5", "7 18 * * *"), "America/Sao_Paulo"),
        Calendar(("30 0 * * *",), "America/Sao_Paulo"),
    ]
)
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(CALENDARS, MOMENTS)
def test_the_latest_slot_is_due_and_the_next_one_is_not(calendar, now):
    assert calendar.latest(now) <= now < calendar.next(now)
    assert calendar.latest(calendar.next(now)) == calendar.next(now)
    assert calendar.next(calendar.latest(now)) == calendar.next(now), "no slot lies between the two"


@given(CALENDARS, MOMENTS, st.integers(0, 400))
def test_slots_between_two_moments_are_the_same_in_one_go_and_in_steps(calendar, start, minutes):
    middle, end = start + timedelta(minutes=minutes), start + timedelta(days=2)
    whole = list(calendar.between(start, end))
    assert whole == [*calendar.between(start, middle), *calendar.between(middle, end)]


def test_an_hour_that_the_day_skips_has_its_slot_right_after_the_gap():
    """On 4 November 2018 the clocks of São Paulo went from 00:00 to 01:00."""
    calendar = Calendar(("30 0 * * *",), "America/Sao_Paulo")
    assert calendar.next(datetime(2018, 11, 4, 1, tzinfo=UTC)) == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_an_hour_that_comes_twice_has_its_slot_once():
    """At the end of 16 February 2019 they went from 24:00 back to 23:00."""
    calendar = Calendar(("30 23 * * *",), "America/Sao_Paulo")
    slots = list(calendar.between(datetime(2019, 2, 16, 12, tzinfo=UTC), datetime(2019, 2, 17, 12, tzinfo=UTC)))
    assert slots == [datetime(2019, 2, 17, 1, 30, tzinfo=UTC)]


def test_a_slot_every_half_hour_goes_on_through_the_repeated_hour():
    calendar = Calendar(("*/30 * * * *",), "America/Sao_Paulo")
    slots = list(calendar.between(datetime(2019, 2, 17, 0, tzinfo=UTC), datetime(2019, 2, 17, 4, tzinfo=UTC)))
    assert len(slots) == 8
