"""Slots are pure functions of the source and of when they are due."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from producers import slots

HOURS = st.integers(1, 24).map(lambda hours: timedelta(hours=hours))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(HOURS, MOMENTS)
def test_the_latest_slot_is_due_and_the_next_one_is_not(interval, now):
    due = slots.latest(interval, now)
    assert due <= now < due + interval


@given(HOURS, MOMENTS, st.floats(0, 0.999))
def test_every_moment_between_two_slots_has_the_same_one(interval, now, fraction):
    due = slots.latest(interval, now)
    assert slots.latest(interval, due + interval * fraction) == due


def test_a_slot_has_one_name_in_every_time_zone():
    """The hour that Brazil skipped and the one it repeated are hours like any other in UTC."""
    moment = datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert slots.slot_id("bcb_sgs", moment) == "bcb_sgs@2018-11-04T03:00:00Z"
    assert slots.slot_id("bcb_sgs", moment.astimezone(timezone(timedelta(hours=-3)))) == slots.slot_id(
        "bcb_sgs", moment
    )
