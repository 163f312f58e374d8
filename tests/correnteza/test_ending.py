"""A command ends when it is done, with its own exit code, whatever the exit handlers of native libraries do."""

import subprocess
import sys

import pytest

from tests.helpers import PATIENCE_SECONDS

# `pause` returns for a signal alone: a native exit handler that never ends, as Arrow's now and then.
RUN = """
import ctypes, sys
libc = ctypes.CDLL(None)
assert libc.__cxa_atexit(ctypes.cast(libc.pause, ctypes.c_void_p), None, None) == 0
from correnteza import cli
def run():
    print("done", flush=True)
    {end}
cli.app = run
{call}
"""
ENDS = {"": 0, "sys.exit()": 0, "sys.exit(3)": 3, "raise KeyboardInterrupt": 130, "sys.exit('no')": 1, "1 / 0": 1}


def started(end: str, call: str) -> subprocess.Popen[str]:
    code = RUN.format(end=end, call=call)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("end", ENDS)
def test_a_command_ends_with_its_own_code_though_an_exit_handler_never_returns(end):
    with started(end, "cli.main()") as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, process.returncode) == ("done\n", ENDS[end])


def hanging(call: str) -> list[str]:
    """The oracle: whether a command that is done has not ended."""
    with started("", call) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        try:
            process.wait(timeout=10 if call == "run()" else PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return ["it is done and has not ended"]
    return []


def test_control_by_the_interpreter_s_own_end_it_hangs(control):
    control.holds(hanging, "cli.main()")
    control.objects(hanging, "run()", damage="has not ended")


def test_exit_handlers_of_python_run_and_what_was_printed_arrives():
    late = "import atexit; atexit.register(print, 'handled')"
    with started(late, "cli.main()") as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, process.returncode) == ("done\nhandled\n", 0)
