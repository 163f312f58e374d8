"""The leader sends the canary; after any failure the next one is sent at its time."""

import threading

import pytest

from foundation.errors import TransientError
from producers.schedule import canary
from producers.schedule.canary import Canary
from producers.sources import load_all
from tests.helpers import wait_for


@pytest.fixture
def stopping():
    found = threading.Event()
    yield found
    found.set()


class Recorded(Canary):
    """Counts instead of sending."""

    def __init__(self, every=0.01, error=None):
        super().__init__("nowhere", "", lambda contracts, prefix: {}, every)
        self.sent = 0
        self.error = error

    def send(self):
        self.sent += 1
        if self.error is not None:
            raise self.error


def test_the_leader_sends_again_and_again(stopping):
    each = Recorded()
    each.watch(lambda: True, stopping)
    wait_for(lambda: each.sent >= 3, "three canaries")


def test_who_does_not_lead_sends_none_until_it_does(stopping, monkeypatch):
    monkeypatch.setattr(canary, "LOOK_SECONDS", 0.01)
    each, asked, leads = Recorded(), [], threading.Event()

    def is_leader():
        asked.append(1)
        return leads.is_set()

    each.watch(is_leader, stopping)
    wait_for(lambda: len(asked) > 3, "asked four times")
    assert each.sent == 0
    leads.set()
    wait_for(lambda: each.sent >= 1, "a canary of the new leader")


@pytest.mark.parametrize("error", [TransientError("the broker is away"), ValueError("a bug")], ids=["away", "bug"])
def test_one_that_is_not_sent_ends_nothing(stopping, error):
    each = Recorded(error=error)
    each.watch(lambda: True, stopping)
    wait_for(lambda: each.sent >= 3, "three attempts")


def test_no_source_has_its_name():
    assert canary.SOURCE not in load_all()
