"""A failed part does not affect others; its last value, its time and the reason are known."""

import threading

import pytest

from foundation.errors import DependencyUnavailable
from monitoring.watch import parts
from monitoring.watch.parts import Part, PartlyKnown, Parts
from tests.helpers import PATIENCE_SECONDS, wait_for


def failing(error):
    def look():
        raise error

    return look


def test_a_part_that_answers_is_up_with_what_it_said():
    part = Part("disk", lambda: 5)
    assert (part.answers, part.why_down) == (False, "not looked at yet")
    part.look_once()
    assert (part.answers, part.why_down, part.known, part.last_good) == (True, None, 5, 5)
    assert part.succeeded_at is not None
    assert part.seconds is not None


def test_a_part_that_fails_is_down_has_no_value_and_keeps_its_last_good_one():
    part = Part("broker", lambda: 5)
    part.look_once()
    before = part.succeeded_at
    part.look = failing(DependencyUnavailable("kafka at sasl://me:secret@host does not answer", hint="correnteza up"))
    part.look_once()
    assert (part.answers, part.known, part.last_good, part.succeeded_at) == (False, None, 5, before)
    assert (part.why_down, part.hint) == ("kafka at sasl://***@host does not answer", "correnteza up")
    part.look = lambda: 6
    part.look_once()
    assert (part.answers, part.known, part.why_down, part.hint) == (True, 6, None, None)


def test_what_is_known_in_spite_of_a_failure_is_shown_and_the_part_is_down():
    part = Part("lake", failing(PartlyKnown(4, OSError("one table"))))
    part.look_once()
    assert (part.answers, part.known, part.last_good) == (False, 4, None)
    assert "one table" in str(part.why_down)


def test_a_bug_in_a_look_is_no_end_of_the_part():
    part = Part("lake", failing(ZeroDivisionError("a bug")))
    part.look_once()
    assert "a bug" in str(part.why_down)


def test_a_part_that_hangs_is_down_and_keeps_no_other_from_being_looked_at(monkeypatch):
    go_on = threading.Event()
    first = threading.Event()

    def hang():
        if first.is_set():
            go_on.wait(PATIENCE_SECONDS)
        first.set()
        return 1

    hanging, other = Part("lake", hang), Part("disk", lambda: 2)
    found = Parts({"lake": hanging, "disk": other}, 0.01)
    found.start()
    try:
        wait_for(lambda: hanging.looks == 1 and hanging.began is not None, "the second look at it is under way")
        assert hanging.answers  # for a moment that is a look like any other
        monkeypatch.setattr(parts, "HANGING_SECONDS", 0.0)
        monkeypatch.setattr(parts, "STUCK_SECONDS", 0.0)
        wait_for(lambda: not hanging.answers, "it counts as down")
        assert hanging.known is None
        assert "under way" in str(hanging.why_down)
        assert "lake" in found.stuck()
        looks = other.looks
        wait_for(lambda: other.looks > looks + 2, "the other part is looked at meanwhile")
    finally:
        go_on.set()
        found.stop()


def test_a_failure_after_a_look_keeps_no_part_from_the_next():
    part = Part("disk", lambda: 2)
    found = Parts({"disk": part}, 0.01, failing(RuntimeError("in the samples")))
    found.start()
    wait_for(lambda: part.looks > 2, "it is looked at again")
    found.stop()


@pytest.mark.parametrize("name", ["lake", "disk"])
def test_all_must_have_been_looked_at(name):
    found = Parts({each: Part(each, lambda: 1) for each in ("lake", "disk")}, 1.0)
    found.by_name[name].look_once()
    assert not found.is_complete
    found.look_at_all()
    assert found.is_complete
