"""F8: clocks that jump, slots at midnight, hours that a day skips or repeats. Slots are the calendar's, each once."""

from datetime import UTC, datetime, timedelta

import pytest

from producers import sources
from producers.calendars import Calendar
from producers.schedule import requests
from producers.schedule.requests import Emitted
from producers.schedule.slots import slot_id
from tests.controls import counted

pytestmark = pytest.mark.fault

BEGIN = datetime(2025, 11, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUARTERLY = {"source": Calendar(("*/15 * * * *",), "America/Sao_Paulo")}


def emitted(calendars, readings):
    """The slots that a leader emits whose clock reads so at its ticks; each tick plans from what was emitted before."""
    return lead(Emitted(), calendars, readings)


def lead(facts, calendars, readings):
    """As `emitted`, by a leader that begins with these facts."""
    found = []
    for now in readings:
        for request in facts.plan(calendars, now):
            facts.add_request(request)
            found.append(request.slot_id)
    return found


def ticking(begin, until, step=timedelta(minutes=1)):
    while begin <= until:
        yield begin
        begin += step


def calendar_slots(calendars, after, until):
    return [slot_id(name, slot) for name, calendar in calendars.items() for slot in calendar.between(after, until)]


def wrong_slots(found, until):
    """The oracle: every slot of the calendar is emitted once, and nothing else is."""
    return counted(found, [slot_id("source", BEGIN), *calendar_slots(QUARTERLY, BEGIN, until)], "slot")


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY], ids=["+1h", "-1h", "+1d", "-1d"])
def test_f8_a_clock_that_jumps_and_comes_back_emits_every_slot_once(jump):
    noon, evening = BEGIN + 12 * HOUR, BEGIN + 18 * HOUR
    readings = [
        *ticking(BEGIN, noon),
        *ticking(noon + jump, noon + jump + HOUR),
        *ticking(noon + HOUR, evening + 2 * DAY, timedelta(minutes=5)),
    ]
    found = emitted(QUARTERLY, readings)
    assert found == [slot_id("source", BEGIN), *calendar_slots(QUARTERLY, BEGIN, evening + 2 * DAY)]


@pytest.mark.parametrize(
    ("jump", "damage"),
    [(-HOUR, "T11:15:00Z' stands 2 times instead of 1"), (HOUR, "T12:15:00Z' stands 0 times instead of 1")],
    ids=["back", "forth"],
)
def test_f8_control_a_leader_that_goes_by_its_clock_alone_emits_slots_twice_or_never(
    jump, damage, monkeypatch, control
):
    """It does not look at what was emitted, but at what has become due since its last tick."""
    noon = BEGIN + 12 * HOUR
    readings = [*ticking(BEGIN, noon), *ticking(noon + jump, noon + 2 * HOUR)]
    control.holds(wrong_slots, emitted(QUARTERLY, readings), noon + 2 * HOUR)

    monkeypatch.setattr(requests, "_newest", lambda _, now: (now - timedelta(minutes=1), 1))
    control.objects(wrong_slots, emitted(QUARTERLY, readings), noon + 2 * HOUR, damage=damage)


def test_f8_control_a_leader_that_reads_nothing_back_leaves_the_slots_between_two_leaders_out(control):
    """The first leader is killed; the second begins two hours later."""
    noon = BEGIN + 12 * HOUR
    before, after = list(ticking(BEGIN, noon)), list(ticking(noon + 2 * HOUR, noon + 3 * HOUR))
    facts = Emitted()
    first = lead(facts, QUARTERLY, before)
    control.holds(wrong_slots, first + lead(facts, QUARTERLY, after), noon + 3 * HOUR)

    damage = "T13:00:00Z' stands 0 times instead of 1"
    control.objects(wrong_slots, first + emitted(QUARTERLY, after), noon + 3 * HOUR, damage=damage)


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Tokyo"])
def test_f8_a_slot_at_midnight_belongs_to_the_instant_and_not_to_a_local_day(zone):
    calendars = {"source": Calendar(("0 0 * * *",), zone)}
    found = emitted(calendars, ticking(BEGIN, BEGIN + 3 * DAY))
    assert found[1:] == calendar_slots(calendars, BEGIN, BEGIN + 3 * DAY)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("begin", "until"),
    [
        (datetime(2018, 11, 3, 12, tzinfo=UTC), datetime(2018, 11, 5, 12, tzinfo=UTC)),  # 00:00 to 01:00 did not exist
        (datetime(2019, 2, 16, 12, tzinfo=UTC), datetime(2019, 2, 18, 12, tzinfo=UTC)),  # 23:00 to 24:00 came twice
    ],
    ids=["skipped", "repeated"],
)
def test_f8_a_skipped_or_repeated_local_hour_has_each_of_its_slots_once(begin, until):
    """A cron of fixed times still fires once a day; one of intervals fires by the elapsed time."""
    calendars = {
        "daily": Calendar(("30 0 * * *",), "America/Sao_Paulo"),
        "late": Calendar(("30 23 * * *",), "America/Sao_Paulo"),
        "quarterly": QUARTERLY["source"],
    }
    found = emitted(calendars, ticking(begin, until))
    assert len(found) == len(set(found))
    assert set(found) >= set(calendar_slots(calendars, begin, until))
    for name in ("daily", "late"):
        assert len(calendar_slots({name: calendars[name]}, begin, until)) == 2


def test_f8_the_declared_sources_name_the_same_slots_whenever_they_are_asked():
    """A year, asked day by day and asked at once."""
    for name, source in sources.load_all().items():
        at_once = list(source.calendar.between(BEGIN, BEGIN + 60 * DAY))
        by_day = [
            slot for day in range(60) for slot in source.calendar.between(BEGIN + day * DAY, BEGIN + (day + 1) * DAY)
        ]
        assert at_once == by_day, name
