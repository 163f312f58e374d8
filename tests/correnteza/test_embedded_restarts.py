"""The restart policy: back-off, recovery, giving up."""

import pytest

from correnteza.embedded.restarts import LONGEST_WAIT_SECONDS, MOST_QUICK_DEATHS, WELL_AFTER_SECONDS, Restarts


def test_each_quick_exit_doubles_the_wait():
    restarts = Restarts()
    assert [restarts.after_death(1, ran_seconds=0.5) for _ in range(4)] == [1, 2, 4, 8]


def test_the_wait_is_bounded():
    restarts = Restarts()
    waits = [restarts.after_death(1, ran_seconds=0.5) for _ in range(MOST_QUICK_DEATHS - 1)]
    assert max(waits) == LONGEST_WAIT_SECONDS


def test_a_child_that_keeps_exiting_is_given_up():
    restarts = Restarts()
    waits = [restarts.after_death(1, ran_seconds=0.5) for _ in range(MOST_QUICK_DEATHS)]
    assert [wait is None for wait in waits] == [False] * (MOST_QUICK_DEATHS - 1) + [True]


def test_a_child_that_ran_well_is_never_given_up():
    restarts = Restarts()
    assert {restarts.after_death(1, ran_seconds=WELL_AFTER_SECONDS) for _ in range(3 * MOST_QUICK_DEATHS)} == {1}


@pytest.mark.parametrize("exit_code", [2, 3])
def test_an_unsafe_state_or_a_wrong_setting_is_not_retried(exit_code):
    assert Restarts().after_death(exit_code, ran_seconds=3600) is None


@pytest.mark.parametrize("exit_code", [0, 1, 4, 75, -9])
def test_every_other_end_is_retried(exit_code):
    assert Restarts().after_death(exit_code, ran_seconds=0) == 1
