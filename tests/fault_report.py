"""After a run: each fault of the matrix, how many tests met it, and how many negative controls failed as they must."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.controls import PASSED

FAULTS = {
    1: "poller killed in mid-transaction",
    2: "poller killed between commit and memory",
    3: "zombie producer",
    4: "outcome of a commit unknown",
    5: "source stalls in mid-chunk",
    6: "registry away",
    7: "incompatible schema proposed",
    8: "clocks that jump, local hours skipped or repeated",
    9: "leader killed or paused",
    10: "worker alive but stalled",
    11: "a page with status 200",
    12: "damaged or truncated files",
    13: "429, 503, resets, redirects, slow bodies",
    14: "headers and encodings that changed",
    15: "duplicates, late and corrected rows",
    16: "giants and bombs",
    17: "driver killed between Delta commit and checkpoint commit",
    18: "driver killed between two writes of a batch",
    19: "broker restarted or killed",
    20: "broker unreachable or slow",
    21: "topic made anew",
    22: "checkpoint lost or copied",
    23: "checkpoint damaged",
    24: "retention passed unread records",
    25: "two copies of a driver",
    28: "disk full",
    30: "poison bytes",
    31: "upgrade on an old checkpoint",
    32: "backlog with little memory",
    33: "SIGTERM in mid-batch",
    34: "one of several queries dies",
    35: "random sequence",
}
"""The rows of the fault matrix that the tests meet."""

_NAMED = re.compile(r"^test_f(\d+)_")


def fault_of(item: pytest.Item) -> int | None:
    """The fault that a test is about: by its name (`test_f17_...`), or by its module's `FAULT`."""
    named = _NAMED.match(item.name)
    fault = int(named[1]) if named else getattr(getattr(item, "module", None), "FAULT", None)
    return fault if fault in FAULTS else None


def is_control(item: pytest.Item) -> bool:
    """Whether a test takes a protection away, by its name or the first words of its docstring."""
    said = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return "control" in item.name or "egative control" in said or said.startswith("Control")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note beside a report which fault it tells of, so that it travels to the end of the run."""
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.stash[PASSED] = report.passed
    if (fault := fault_of(item)) is not None:
        report.user_properties.append(("fault", (fault, is_control(item))))
    for words in getattr(getattr(item, "control", None), "words", ()):
        report.user_properties.append(("control", words))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the list, if the run met a fault at all."""
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == "fault":
                    fault, control = value
                    counts[fault]["controls" if control and outcome == "passed" else outcome] += 1
    if not counts:
        return
    terminalreporter.section("faults and negative controls")
    for fault in sorted(counts):
        found = counts[fault]
        trouble = "".join(f"  {found[each]} {each.upper()}" for each in ("failed", "error", "skipped") if found[each])
        tests, controls = found["passed"], found["controls"]
        terminalreporter.write_line(
            f"F{fault:<3} {FAULTS[fault]:58} {tests:3} held  {controls:2} controls{trouble}", red="FAILED" in trouble
        )
