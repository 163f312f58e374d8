"""A recorded process is known again, whatever happens to its number or to the clock."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from correnteza.embedded import processes
from correnteza.embedded.processes import creation_of, is_alive
from tests.controls import Control
from tests.helpers import wait_for


@contextmanager
def sleeping(program: str | Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that sleeps until the context ends."""
    with subprocess.Popen([program, "3600"]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def sleeper():
    with sleeping("sleep") as process:
        yield process


def lost_by_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch, pid: int) -> list[str]:
    """The oracle: whether a process that runs is no longer the recorded one after the clock was set by two seconds.

    Linux then tells another time of the boot, from which the time of every start is computed.
    """
    recorded = processes.creation_of(pid)
    booted = psutil.boot_time()
    with monkeypatch.context() as patched:
        patched.setattr(psutil._pslinux, "boot_time", lambda: booted - 2)
        return [] if is_alive(pid, recorded) else [f"{pid} runs, and counts as ended"]


def test_a_process_is_the_recorded_one_until_it_ends(sleeper):
    recorded = creation_of(sleeper.pid)
    assert creation_of(sleeper.pid) == recorded
    assert is_alive(sleeper.pid, recorded)
    sleeper.kill()
    wait_for(lambda: not is_alive(sleeper.pid, recorded), "the end")
    sleeper.wait()
    with pytest.raises(psutil.NoSuchProcess):
        creation_of(sleeper.pid)


def test_another_process_with_its_number_is_not_the_recorded_one(sleeper):
    assert creation_of(sleeper.pid) != creation_of(os.getpid())
    assert not is_alive(sleeper.pid, creation_of(os.getpid()))


def test_a_name_of_blanks_and_brackets_does_not_move_the_fields(tmp_path):
    odd = tmp_path / "a (b) c"
    odd.symlink_to("/bin/sleep")
    with sleeping(odd) as process:
        wait_for(lambda: psutil.Process(process.pid).name() == odd.name, "the program to have its name")
        recorded = creation_of(process.pid)
        assert recorded.rpartition(" ")[2].isdecimal()
        assert is_alive(process.pid, recorded)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux computes a start from the time of the boot")
def test_control_a_start_by_the_clock_is_lost_when_the_clock_is_set(sleeper, monkeypatch, control: Control):
    control.holds(lost_by_a_clock_that_is_set, monkeypatch, sleeper.pid)
    monkeypatch.setattr(processes, "creation_of", lambda pid: str(psutil.Process(pid).create_time()))
    control.objects(lost_by_a_clock_that_is_set, monkeypatch, sleeper.pid, damage="runs, and counts as ended")
