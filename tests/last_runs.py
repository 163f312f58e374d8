"""How each test ended when it last ran here: kept beside pytest's cache, for `tests/test_guarantees.py` to read.

A fresh checkout has none, and that is no failure.
"""

from dataclasses import dataclass

import pytest

KEY = "correnteza/last_runs"
_WORSE = ("passed", "skipped", "failed")


@dataclass(frozen=True)
class Ended:
    """How a test function ended; of several parameters the worst counts.

    Attributes:
        outcome: passed, skipped or failed.
        reason: of a skip, in the words of the test.
    """

    outcome: str
    reason: str = ""


_ended: dict[str, Ended] = {}


def note(found: dict[str, Ended], report: pytest.TestReport) -> None:
    """Take one report in: of set-up, call or tear-down."""
    name = report.nodeid.rpartition("::")[2].partition("[")[0]
    before = found.get(name, Ended("passed"))
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if name not in found or _WORSE.index(report.outcome) > _WORSE.index(before.outcome):
        found[name] = Ended(report.outcome, reason)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Of every test of this run; with parallel workers, in the process that they report to."""
    note(_ended, report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what this run found over what former runs did."""
    cache = getattr(session.config, "cache", None)
    if hasattr(session.config, "workerinput") or cache is None:
        return
    cache.set(KEY, cache.get(KEY, {}) | {name: [each.outcome, each.reason] for name, each in _ended.items()})


def last_runs(config: pytest.Config) -> dict[str, Ended]:
    """Test function → how it last ended here, before this run."""
    cache = getattr(config, "cache", None)
    return {name: Ended(*told) for name, told in (cache.get(KEY, {}) if cache else {}).items()}
