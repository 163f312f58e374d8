"""Windows of days: what is requested first, what is requested again, and that there are no gaps and no duplicate
days."""

import json
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import windows
from producers.model import Progress, Span
from producers.windows import Window

DAY = timedelta(days=1)
JANUARY = Span(date(2026, 1, 1))
TODAY = date(2026, 1, 25)


def planned(
    complete=(), *, span: Span = JANUARY, today: date = TODAY, newest: date | dict[str, date] | None = None
) -> list[Window]:
    """At most ten days a request, three of them again. Args: newest: of every body, or by key."""

    def body(key: str) -> bytes:
        value_on = newest.get(key) if isinstance(newest, dict) else newest
        return json.dumps(value_on and value_on.isoformat()).encode()

    progress = Progress(today, span, frozenset(complete), body, lambda key: None, lambda path, params: b"never asked")

    def read(body: bytes) -> date | None:
        text = json.loads(body)
        return date.fromisoformat(text) if text else None

    return list(windows.plan(progress, longest=10 * DAY, overlap=3 * DAY, newest=read))


def keys(*arguments, **options) -> list[str]:
    return [window.key for window in planned(*arguments, **options)]


def days(found: list[Window]) -> list[date]:
    return [window.first + n * DAY for window in found for n in range((window.last - window.first).days + 1)]


HISTORY = ["2026-01-01..2026-01-10", "2026-01-11..2026-01-20"]


def test_the_present_is_asked_first_and_then_history_in_the_longest_cuts_oldest_first():
    assert keys() == ["2026-01-21..", *HISTORY]


def test_history_goes_on_where_a_crash_left_it():
    assert keys(["2026-01-21..", HISTORY[0]]) == ["2026-01-21..", HISTORY[1]]


def test_an_open_window_that_was_never_answered_ends_where_a_cut_is_full():
    assert keys(HISTORY, today=date(2026, 1, 31)) == ["2026-01-31..", "2026-01-21..2026-01-30"]


def test_what_is_asked_again_does_not_reach_into_days_that_are_missing():
    """They are history: in the newest window they would be dated as new data."""
    (present, *history) = planned(["2026-01-21.."], newest=date(2026, 1, 22))
    assert present == Window("2026-01-21..", date(2026, 1, 21), TODAY)
    assert [window.key for window in history] == HISTORY
    (present,) = planned(["2026-01-21..", *HISTORY], newest=date(2026, 1, 22))
    assert present == Window("2026-01-21..", date(2026, 1, 19), TODAY)


def test_later_polls_ask_from_before_the_newest_value_not_from_before_today():
    (window,) = planned([*HISTORY, "2026-01-21.."], newest=date(2026, 1, 23), today=date(2026, 1, 28))
    assert window == Window("2026-01-21..", date(2026, 1, 20), date(2026, 1, 28))


def test_a_value_of_a_day_to_come_does_not_move_the_window_past_today():
    (window,) = planned([*HISTORY, "2026-01-21.."], newest=date(2026, 2, 20))
    assert (window.first, window.last) == (date(2026, 1, 22), TODAY)


STILL = [*HISTORY, "2026-01-21.."]
BETWEEN = ["2026-01-21..2026-01-30", "2026-01-31..2026-02-09"]


def test_after_a_standstill_longer_than_a_request_another_window_is_opened_and_the_days_between_are_history():
    assert keys(STILL, newest=date(2026, 1, 24), today=date(2026, 2, 12)) == ["2026-02-10..", *BETWEEN]


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_the_days_of_a_standstill_are_asked_for_until_they_are_answered(answered):
    """The present was answered first: the values of the window that was open before say where the days begin."""
    newest = {"2026-01-21..": date(2026, 1, 24), "2026-02-10..": date(2026, 2, 12)}
    complete = [*STILL, "2026-02-10..", *BETWEEN[:answered]]
    assert keys(complete, newest=newest, today=date(2026, 2, 13)) == ["2026-02-10..", *BETWEEN[answered:]]


def test_a_source_that_has_ended_is_asked_for_its_newest_window_alone():
    complete = [*STILL, "2026-02-10..", *BETWEEN]
    ended = {"2026-01-21..": date(2026, 1, 24)}
    assert planned(complete, newest=ended, today=date(2026, 3, 30)) == [
        Window("2026-02-10..", date(2026, 3, 21), date(2026, 3, 30))
    ]


def test_the_newest_window_never_begins_before_the_span():
    (window,) = planned(["2026-01-02.."], span=Span(date(2026, 1, 24)), newest=TODAY)
    assert window.first == date(2026, 1, 24)


@pytest.mark.parametrize("today", [TODAY, date(2026, 3, 1)])
def test_without_a_newest_value_the_newest_window_is_as_long_as_a_request_may_be(today):
    (window,) = planned(["2026-01-21.."], span=Span(date(2026, 1, 21)), today=today)
    assert window.first == max(date(2026, 1, 21), today - 9 * DAY)


def test_a_backfill_has_closed_windows_only():
    assert keys(span=Span(date(2026, 1, 1), date(2026, 1, 12))) == ["2026-01-01..2026-01-10", "2026-01-11..2026-01-12"]


def test_an_earlier_start_of_the_history_asks_for_the_days_before_alone():
    earlier = Span(date(2025, 12, 20))
    assert keys([*HISTORY, "2026-01-21.."], span=earlier, newest=TODAY) == [
        "2026-01-21..",
        "2025-12-20..2025-12-29",
        "2025-12-30..2025-12-31",
    ]


def test_the_day_on_which_the_open_window_began_is_known_even_where_no_history_came_before_it():
    found = planned(["2026-01-21.."], span=JANUARY, newest=TODAY)
    assert [window.key for window in found] == ["2026-01-21..", *HISTORY]


def test_nothing_is_asked_of_a_span_that_has_not_begun():
    assert planned(span=Span(date(2027, 1, 1))) == []


def test_only_a_closed_window_is_answered_for_good():
    assert [windows.is_closed(key) for key in ("2026-01-01..2026-01-02", "2026-01-01..", "recent", "A401")] == [
        True,
        False,
        False,
        False,
    ]


@given(
    st.lists(st.tuples(st.integers(-40, 24), st.integers(-40, 24), st.booleans()), max_size=4),
    st.integers(0, 4),
)
def test_whatever_was_wanted_before_every_day_is_asked_once_and_none_twice(wishes, answered):
    """Live schedules and backfills in any order, each stopped after some windows; the last one runs to its end."""
    complete: list[str] = []
    asked: list[date] = []
    for first, last, is_live in [*wishes, (-40, 0, True)]:
        begin, end = sorted((JANUARY.first + first * DAY, JANUARY.first + last * DAY))
        span = Span(begin) if is_live else Span(begin, end)
        found = [window for window in planned(complete, span=span, newest=None) if window.key not in complete]
        for window in found if (first, last) == (-40, 0) else found[:answered]:
            complete.append(window.key)
            asked += days([window])
    assert sorted(asked) == [JANUARY.first + n * DAY for n in range(-40, 25)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4)), min_size=1, max_size=6))
def test_however_long_a_poller_is_stopped_and_wherever_it_is_interrupted_no_day_is_left_out(polls):
    """Polls so many days apart, each cut off after some windows, the last one whole; the source has every day."""
    newest: dict[str, date] = {}
    answered: set[date] = set()
    today = TODAY
    for number, (pause, windows_answered) in enumerate(polls, 1):
        today += pause * DAY
        found = planned(newest, today=today, newest=newest)
        for window in found if number == len(polls) else found[:windows_answered]:
            newest[window.key] = window.last
            answered |= set(days([window]))
    assert answered == {JANUARY.first + n * DAY for n in range((today - JANUARY.first).days + 1)}


def revised(complete=(), *, span: Span = JANUARY, today: date = TODAY) -> list[Window]:
    """What is asked of a source that may change all it ever published."""
    progress = Progress(
        today, span, frozenset(complete), lambda key: b"", lambda key: None, lambda path, params: b"never asked"
    )
    return list(windows.plan(progress, longest=1000 * DAY, overlap=None, newest=lambda body: TODAY))


def test_a_series_that_is_revised_whole_is_requested_whole_under_one_key():
    assert revised() == [Window("2026-01-01..", JANUARY.first, TODAY)]
    later = TODAY + 400 * DAY
    assert revised(["2026-01-01.."], today=later) == [Window("2026-01-01..", JANUARY.first, later)]


def test_the_whole_is_also_what_was_asked_in_closed_windows_and_by_a_backfill():
    complete = ["2019-01-01..2019-12-31", *HISTORY, "2026-01-21.."]
    found = revised(complete)
    assert found[-1] == Window("2026-01-21..", date(2019, 1, 1), TODAY)
    assert [window.key for window in found[:-1]] == []
    assert revised(HISTORY) == [Window("2026-01-21..", date(2026, 1, 21), TODAY)]  # first the open window is opened


def test_an_earlier_start_is_asked_as_history_and_belongs_to_the_whole_once_it_is_published():
    """So that it is dated as history, and not as if it had come out today."""
    earlier, complete = Span(date(2025, 1, 1)), ["2026-01-21..", *HISTORY]
    assert revised(complete, span=earlier) == [
        Window("2026-01-21..", JANUARY.first, TODAY),
        Window("2025-01-01..2025-12-31", date(2025, 1, 1), date(2025, 12, 31)),
    ]
    complete.append("2025-01-01..2025-12-31")
    assert revised(complete, span=earlier) == [Window("2026-01-21..", earlier.first, TODAY)]


def test_a_backfill_of_what_may_be_revised_has_closed_windows_only():
    span = Span(date(2025, 1, 1), date(2025, 12, 31))
    assert [window.key for window in revised(["2026-01-01.."], span=span)] == ["2025-01-01..2025-12-31"]
    assert revised(["2026-01-01..", "2025-01-01..2025-12-31"], span=span) == []
