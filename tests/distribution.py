"""Which process of a parallel run gets which test: those of a Spark session go to few of the processes.

A session takes 2.5 GB, and half a minute of CPU until its JVM is warm. The other processes begin with the fast tests,
so that the cores have work while a driver or a broker is waited for. Nobody waits for anybody at the end: a process
of a session that has no such test left takes others.

It is chosen by `--dist loadscope --no-loadscope-reorder`; other ways to distribute are pytest-xdist's own.
"""

from collections import Counter
from collections.abc import Iterable

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SESSIONS = 3
"""Processes that have a Spark session: together they keep two cores busy most of the time."""

TOGETHER = 8
"""Tests of a file without a session that one process runs in a row. Fewer of them balance better, more of them share
what is made once for a file."""

KEY = "correnteza/tests_of_a_session"
FIRST = "gw0"
_IN_SESSION = "session:"


def keep(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Tell the distributing process, which collects nothing itself, which tests use a session; one process does it."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker == FIRST and config.cache:
        config.cache.set(KEY, [item.nodeid for item in items if "spark" in getattr(item, "fixturenames", ())])


def scopes(tests: Iterable[str], of_a_session: set[str]) -> dict[str, str]:
    """Test → the tests that it is run with: all of its file that use a session, or some of its file that do not."""
    before: Counter[str] = Counter()
    found = {}
    for test in tests:
        file = test.partition("::")[0]
        if test in of_a_session:
            found[test] = _IN_SESSION + file
        else:
            found[test] = f"{file} {before[file] // TOGETHER}"
            before[file] += 1
    return found


class FewSessions(LoadScopeScheduling):
    """pytest-xdist's distribution by scopes, where not every process may have every scope."""

    def schedule(self) -> None:
        """Distribute what was collected. By then every process has told what it found."""
        if self.collection is None:
            collected = next(iter(self.registered_collections.values()))
            self._scopes = scopes(collected, set(self.config.cache.get(KEY, []) if self.config.cache else []))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._scopes[nodeid]

    def _next_for(self, node: WorkerController) -> str | None:
        """The scope that a process should run next, or None if it has nothing more to do."""
        others = (scope for scope in self.workqueue if not scope.startswith(_IN_SESSION))
        if node not in self.nodes[:SESSIONS]:
            return next(others, None)
        return next((scope for scope in self.workqueue if scope.startswith(_IN_SESSION)), None) or next(others, None)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if scope := self._next_for(node):
            self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self._next_for(node) or node.shutting_down:
            super()._reschedule(node)
        else:
            node.shutdown()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Distribute by this module where distribution by scopes is asked for."""
    return FewSessions(config, log) if config.getoption("dist") == "loadscope" else None
