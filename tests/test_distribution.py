"""A real parallel run of a small suite: few of its processes have a session, and every test runs once."""

import os
import subprocess
import sys
from pathlib import Path

from tests.distribution import SESSIONS, TOGETHER, scopes
from tests.helpers import ROOT

PROCESSES = SESSIONS + 1
FILES = 4 * PROCESSES

CONFTEST = """
import os
import time
from pathlib import Path

import pytest

from tests import distribution
from tests.distribution import pytest_xdist_make_scheduler  # noqa: F401

@pytest.fixture(scope="session")
def spark():
    return None

@pytest.fixture(autouse=True)
def ran(request):
    uses = "spark" if "spark" in request.fixturenames else "none"
    with Path(os.environ["RAN"]).open("a") as file:
        file.write(f"{os.getpid()} {uses} {request.node.nodeid}\\n")
    # Long enough for every process to get a share.
    time.sleep(0.01)

def pytest_collection_modifyitems(config, items):
    distribution.keep(config, items)
"""

SUITE = """
import pytest

def test_of_a_session(spark):
    pass

@pytest.mark.parametrize("number", range(4))
def test_without(number):
    pass

def test_of_the_same_session(spark):
    pass
"""


def ran(folder: Path, *ways: str) -> list[tuple[str, str, str]]:
    """Run a suite of small files in parallel: (process, what it used, test) of each test."""
    suite = folder / "suite"
    suite.mkdir(parents=True)
    (suite / "conftest.py").write_text(CONFTEST)
    for number in range(FILES):
        (suite / f"test_{number}.py").write_text(SUITE)
    found = folder / "ran"
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", str(PROCESSES), *ways, f"--rootdir={suite}", suite]
    environment = {**os.environ, "RAN": str(found), "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [tuple(line.split(" ", 2)) for line in found.read_text().splitlines()]


def too_many(runs: list[tuple[str, str, str]]) -> list[str]:
    """What is wrong with the processes that used a session."""
    sessions = {process for process, used, _ in runs if used == "spark"}
    return [f"{len(sessions)} processes have a session"] if len(sessions) > SESSIONS else []


def test_control_few_processes_have_a_session_and_every_test_runs_once(tmp_path, control):
    def seen(name: str, *ways: str) -> list[str]:
        runs = ran(tmp_path / name, *ways)
        tests = [test for _, _, test in runs]
        assert len(tests) == len(set(tests)) == 6 * FILES
        assert len({process for process, *_ in runs}) == PROCESSES
        return too_many(runs)

    control.holds(seen, "few", "--dist", "loadscope", "--no-loadscope-reorder")
    control.objects(seen, "any", "--dist", "load", damage=f"{PROCESSES} processes have a session")


def test_tests_of_a_session_stay_with_their_file_and_others_come_in_short_rows():
    tests = [f"a.py::test_{number}" for number in range(TOGETHER + 1)]
    found = scopes([*tests, "b.py::test_0"], {"a.py::test_0", "a.py::test_5"})
    assert found["a.py::test_0"] == found["a.py::test_5"]
    others = [found[test] for test in tests if test not in {"a.py::test_0", "a.py::test_5"}]
    assert len(set(others)) == 1
    longer = [scopes([*tests, "a.py::test_last"], set())[test] for test in (tests[0], tests[-1])]
    assert longer[0] != longer[1]
    assert found["b.py::test_0"] not in others
