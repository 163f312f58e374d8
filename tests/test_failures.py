"""A real run of a failing suite: the failure is printed before the next test begins."""

import os
import subprocess
import sys

from tests.helpers import ROOT

SUITE = """
import sys

def test_fails():
    assert 1 + 1 == 3

def test_is_next():
    print("the next one", file=sys.__stderr__, flush=True)
"""


def test_a_failure_is_printed_before_the_next_test(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-s", "-p", "tests.failures", f"--rootdir={tmp_path}", tmp_path]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONUNBUFFERED": "1",
    }
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    told = done.stdout.index("failed: test_suite.py::test_fails: assert (1 + 1) == 3")
    assert told < done.stdout.index("the next one") < done.stdout.index("= FAILURES =")
