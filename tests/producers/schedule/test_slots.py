"""Slots are pure functions of the source and of when they are due."""

from datetime import UTC, datetime, timedelta, timezone

from producers.schedule import slots


def test_a_slot_has_one_name_in_every_time_zone():
    """The hour that Brazil skipped and the one it repeated are hours like any other in UTC."""
    moment = datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert slots.slot_id("bcb_sgs", moment) == "bcb_sgs@2018-11-04T03:00:00Z"
    assert slots.slot_id("bcb_sgs", moment.astimezone(timezone(timedelta(hours=-3)))) == slots.slot_id(
        "bcb_sgs", moment
    )
