"""A worker and a command never poll a source at the same time; two workers may."""

import subprocess
import sys
import threading

import pytest

from producers.schedule import turns
from producers.schedule.turns import Turns, no_turn
from tests.controls import complaint
from tests.helpers import PATIENCE_SECONDS, ROOT, wait_for

GO_ON = threading.Event()


@pytest.fixture
def both(tmp_path):
    """Two schedulers of one home."""
    return Turns(tmp_path), Turns(tmp_path)


def command_beside(turn, command) -> list[str]:
    """The oracle: whether a command polls while a worker does."""
    with turn("bcb_sgs", GO_ON):
        said = complaint(lambda: command.of_command("bcb_sgs").__enter__())
    return [] if said else ["both poll bcb_sgs"]


def test_control_a_command_does_not_poll_what_a_worker_polls(both, control):
    control.holds(command_beside, both[0].of_worker, both[1])
    control.objects(command_beside, no_turn, both[1], damage="both poll bcb_sgs")


def test_two_commands_exclude_each_other_and_other_sources_are_free(both):
    with both[0].of_command("bcb_sgs"), both[1].of_command("bcb_ptax"):
        assert "is being polled" in complaint(lambda: both[1].of_command("bcb_sgs").__enter__())[0]
    with both[1].of_command("bcb_sgs"):
        pass


def test_workers_share_a_source(both):
    with both[0].of_worker("bcb_sgs", GO_ON), both[1].of_worker("bcb_sgs", GO_ON):
        pass


def test_a_worker_waits_for_a_command_and_then_goes_on(both):
    begun = threading.Event()

    def work():
        with both[0].of_worker("bcb_sgs", GO_ON):
            begun.set()

    with both[1].of_command("bcb_sgs"):
        worker = threading.Thread(target=work)
        worker.start()
        assert not begun.wait(2 * turns.LOOK_SECONDS)
    assert begun.wait(PATIENCE_SECONDS)
    worker.join()


def test_a_worker_that_stops_does_not_wait(both):
    stopping = threading.Event()
    stopping.set()
    with both[1].of_command("bcb_sgs"):
        assert "this worker stops" in complaint(lambda: both[0].of_worker("bcb_sgs", stopping).__enter__())[0]


def test_a_command_that_is_frozen_keeps_a_worker_waiting_for_a_while_only(both, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.1)
    with both[1].of_command("bcb_sgs"), both[0].of_worker("bcb_sgs", GO_ON):
        pass


def test_a_killed_command_frees_its_source(both, tmp_path):
    holding = (
        "import sys, time; from pathlib import Path; from producers.schedule.turns import Turns\n"
        "with Turns(Path(sys.argv[1])).of_command('bcb_sgs'): print('has it', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holding, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "has it\n"
        assert complaint(lambda: both[0].of_command("bcb_sgs").__enter__())
        child.kill()
    wait_for(lambda: not complaint(lambda: both[0].of_command("bcb_sgs").__enter__()), "the lock of a killed command")
