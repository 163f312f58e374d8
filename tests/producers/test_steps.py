"""Steps one after the other: a failed step does not hinder others, and a failure of the whole source ends them."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from foundation.errors import DependencyUnavailable, FencedError, InvalidContent, TransientError, UnsafeState
from producers.fetch.answers import ThrottledError
from producers.session import Tally
from producers.steps import run_steps

PAGE, AWAY, REFUSED = InvalidContent("a page"), TransientError("away"), DependencyUnavailable("status 403")
PAUSE = ThrottledError("slower", until=datetime(2025, 3, 1, tzinfo=UTC), wait=60.0)


def taken(*ends: Exception | None, broker_fails_at: int | None = None):
    """Take steps `0`, `1`, … that end like this. Returns: how they ended, which were taken, what the tally says."""
    session = SimpleNamespace(tally=Tally(), publisher=SimpleNamespace(has_failed=False))
    asked = []

    def step(number: int, end: Exception | None) -> None:
        asked.append(number)
        session.publisher.has_failed = number == broker_fails_at
        if end is not None:
            raise end

    steps = [(str(number), lambda number=number, end=end: step(number, end)) for number, end in enumerate(ends)]
    return run_steps(session, steps), asked, session.tally


@pytest.mark.parametrize("error", [PAGE, AWAY, REFUSED], ids=["nonsense", "away", "refused"])
def test_one_that_fails_for_ever_keeps_no_other_back_and_is_named(error):
    ended, asked, tally = taken(error, None, None)
    assert (asked, ended.failed, ended.passed, ended.gave_up) == ([0, 1, 2], ["0"], 2, False)
    assert ended.error is error
    assert tally.problems == [f"0: {error}"]


def test_three_in_a_row_are_a_failure_of_the_source():
    ended, asked, _ = taken(None, AWAY, PAGE, REFUSED, None)
    assert (asked, ended.failed, ended.gave_up) == ([0, 1, 2, 3], ["1", "2", "3"], True)
    assert ended.error is AWAY


def test_one_that_answers_in_between_begins_the_row_anew():
    ended, asked, _ = taken(AWAY, AWAY, None, AWAY, AWAY, None)
    assert (asked, ended.passed, ended.gave_up) == ([0, 1, 2, 3, 4, 5], 2, False)


def test_a_source_that_asks_for_a_pause_gets_it_at_once_and_that_is_the_error():
    ended, asked, _ = taken(PAGE, None, PAUSE, None)
    assert (asked, ended.gave_up) == ([0, 1, 2], True)
    assert ended.error is PAUSE


def test_without_a_broker_nothing_more_is_asked():
    ended, asked, _ = taken(None, AWAY, None, broker_fails_at=1)
    assert (asked, ended.gave_up) == ([0, 1], True)


@pytest.mark.parametrize("error", [FencedError("another"), UnsafeState("a cursor")])
def test_an_error_that_ends_the_poll_is_no_failure_of_a_resource(error):
    with pytest.raises(type(error)):
        taken(error, None)
