"""A failure is told when it happens: a run of many minutes prints dots, and its failures at its end only."""

import pytest


class AtOnce:
    """Prints a line for each failure, in the process that the others report to."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print which test failed and why, in a line."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = str(crash.message if crash else report.longrepr).partition("\n")[0]
            terminal.ensure_newline()
            terminal.write_line(f"failed: {report.nodeid}: {reason[:200]}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Tell failures at once in this run."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(AtOnce(config))
