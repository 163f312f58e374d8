"""When the controller is run alone before the broker, and what of its log says that it has done its part.

That a broker which is started so keeps what was committed: `tests/faults/test_answered_commits.py`.
"""

import sys
from collections import deque

import pytest

from correnteza.embedded import fenced_start

ACTIVE = "INFO [QuorumController id=1] Becoming the active controller at epoch 2, next write offset 36."
REGISTERED = (
    "INFO Replayed initial RegisterBrokerRecord for broker 1: RegisterBrokerRecord(brokerId=1, fenced=true, log=[])"
)
CHANGED = (
    "INFO Replayed BrokerRegistrationChangeRecord modifying the registration for broker 1: (brokerId=1, fenced=%d, x=0)"
)
UNFENCED, UNCHANGED, FENCED = (CHANGED % number for number in (-1, 0, 1))


@pytest.mark.parametrize(
    ("lines", "is_fenced"),
    [
        ([REGISTERED, UNFENCED, UNCHANGED, ACTIVE], False),
        ([REGISTERED, UNFENCED, ACTIVE, FENCED], True),
        ([REGISTERED, UNFENCED, FENCED], False),  # of a former kill: this controller has decided nothing yet
        ([REGISTERED, UNFENCED, FENCED, ACTIVE], True),  # killed before it was told to serve again
        ([REGISTERED, UNFENCED, FENCED, UNFENCED, ACTIVE], False),
        ([REGISTERED, ACTIVE], True),
        ([ACTIVE], True),
    ],
)
def test_a_broker_is_fenced_if_the_last_word_about_it_says_so(lines, is_fenced):
    assert fenced_start.is_fenced(lines, deque()) == is_fenced


def test_it_reads_no_further_than_it_must():
    lines = iter([ACTIVE, "more"])
    assert fenced_start.is_fenced(lines, deque())
    assert next(lines) == "more"


@pytest.mark.parametrize(
    ("left", "was_killed"),
    [
        ((), False),
        (("meta.properties",), False),  # formatted, and never started
        (("meta.properties", "__cluster_metadata-0"), True),
        (("meta.properties", "__cluster_metadata-0", ".kafka_cleanshutdown"), False),
    ],
)
def test_a_broker_was_killed_if_it_ran_and_left_no_mark_of_an_orderly_end(tmp_path, left, was_killed):
    for name in left:
        (tmp_path / name).mkdir()
    assert fenced_start.was_killed(tmp_path) == was_killed


def test_if_it_ends_too_early_the_start_ends_with_what_it_said():
    with pytest.raises(SystemExit, match=r"no space left\nthe controller did not fence the killed broker"):
        fenced_start.fence([sys.executable, "-c", "print('no space left')"])
