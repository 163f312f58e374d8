"""After a run: each fault of the matrix and how many tests met it, then each promise with its tests and controls."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from tests.collected import ROOT
from tests.controls import PASSED
from tests.guarantee_list import declared, is_control, listed, tell, verb_of

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
    21: "topic recreated",
    22: "checkpoint lost or copied",
    23: "checkpoint damaged",
    24: "retention passed unread records",
    25: "two copies of a driver",
    26: "OPTIMIZE and VACUUM against merges and lagging readers",
    27: "kill in the swap that ends a rebuild",
    28: "disk full",
    29: "object store that errs, is slow, or answers wrongly",
    30: "poison bytes",
    31: "upgrade on an old checkpoint",
    32: "backlog with little memory",
    33: "SIGTERM in mid-batch",
    34: "one of several queries dies",
    35: "random sequence",
}
"""The rows of the fault matrix that have tests."""

UNTESTED: dict[int, str] = {}
"""The rows without a test."""

MUST_NOT_SKIP = ("CI", "NO_SKIPPED_FAULTS")
"""Where one of these variables is set, a fault test that is skipped has failed: it shows nothing."""

PAGE = ROOT / "docs" / "guarantees.md"
_NAMED = re.compile(r"^test_f(\d+)_")


def fault_of(item: pytest.Item) -> int | None:
    """The fault that a test is about: by its name (`test_f17_...`), or by its module's `FAULT`."""
    named = _NAMED.match(item.name)
    fault = int(named[1]) if named else getattr(getattr(item, "module", None), "FAULT", None)
    return fault if fault in FAULTS else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note beside a report what its test is, so that it travels to the end of the run, also from another process."""
    result = yield
    report = result.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.stash[PASSED] = report.passed
    name = getattr(item, "originalname", None) or item.name
    is_fault = fault_of(item) is not None or item.get_closest_marker("fault") is not None
    forbid_skip(report, is_fault=is_fault)
    noted = {
        "test": name,
        "file": str(item.path.relative_to(ROOT)) if item.path.is_relative_to(ROOT) else str(item.path),
        "verb": verb_of(mark.name for mark in item.iter_markers()),
        "fault": fault_of(item),
        "is_fault": is_fault,
        "control": is_control(name, getattr(getattr(item, "function", None), "__doc__", None)),
        "words": list(getattr(getattr(item, "control", None), "words", ())),
    }
    report.user_properties.append(("guarantee", noted))


def forbid_skip(report: Any, *, is_fault: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Where nothing may be skipped, a fault test that is skipped has failed, with the reason of the skip."""
    is_skipped = report.skipped and is_fault and not hasattr(report, "wasxfail")
    if is_skipped and any(environment.get(name) for name in MUST_NOT_SKIP):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"a fault test that is skipped shows nothing: {reason}"


def reports_of(stats: Mapping[str, Iterable[Any]]) -> list[tuple[str, dict[str, Any]]]:
    """(outcome, what was noted) of each report that counts."""
    return [
        (outcome, value)
        for outcome in ("passed", "failed", "error", "skipped")
        for report in stats.get(outcome, ())
        for name, value in getattr(report, "user_properties", ())
        if name == "guarantee"
    ]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the result of a run with fault tests: first the faults, then the promises."""
    told = reports_of(terminalreporter.stats)
    if not any(noted["is_fault"] for _, noted in told):
        return
    terminalreporter.section("faults and negative controls")
    for line in by_fault(told):
        terminalreporter.write_line(line, red="FAILED" in line or "ERROR" in line)
    terminalreporter.section("guarantees: how each test ended, and the verb of `make` that runs it")
    is_of_faults = "fault" in config.option.markexpr  # `make test-faults`, and not a half of `make test`
    is_whole = is_of_faults and not config.option.keyword and config.args == config.getini("testpaths")
    tests = tell(declared(ROOT / "tests"), told)
    for line in listed(PAGE.read_text(encoding="utf-8"), tests, every=is_whole):
        terminalreporter.write_line(line, red=line.startswith(("  failed", "  error")))


def by_fault(told: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """One line per fault: how many tests held, how many controls named their damage, and what went wrong."""
    counts: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    skipped = 0
    for outcome, noted in told:
        skipped += outcome == "skipped" and noted["is_fault"]
        if noted["fault"] is not None:
            counts[noted["fault"]]["controls" if noted["control"] and outcome == "passed" else outcome] += 1
    for fault in sorted(counts.keys() | UNTESTED.keys()):
        if fault in UNTESTED:
            yield f"F{fault:<3} {UNTESTED[fault]:58} no test yet"
            continue
        found = counts[fault]
        trouble = "".join(f"  {found[each]} {each.upper()}" for each in ("failed", "error", "skipped") if found[each])
        yield f"F{fault:<3} {FAULTS[fault]:58} {found['passed']:3} held  {found['controls']:2} controls{trouble}"
    if skipped:
        yield f"{skipped} fault tests were SKIPPED: what they show was not shown in this run"
