"""Real services for tests: your own (TEST_KAFKA and TEST_REGISTRY), or the embedded ones, started once a session.

Each test has a home of its own and, on the shared broker and registry, a prefix of its own.
"""

import gc
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, settings

from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from storage import location
from tests import collected
from tests.choosing import choose
from tests.controls import control
from tests.fault_report import pytest_runtest_makereport, pytest_terminal_summary
from tests.helpers import PATIENCE_SECONDS, UNMODIFIED, Command, run_here, run_to_its_end, start_commands
from tests.last_runs import pytest_runtest_logreport, pytest_sessionfinish
from tests.seeds import pytest_report_header, seed_hypothesis
from tests.shared_services import borrow, end, folder_of_all

__all__ = [
    "choose",
    "control",
    "pytest_report_header",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]

# No property is about how fast this machine is: on a loaded one, drawing a value may take seconds.
settings.register_profile("correnteza", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("correnteza")
seed_hypothesis()

# Thousands of modules and tests stay until the end. Python's collector would look at all of them again and again, while
# they are read and while tests run: a twelfth of the time.
gc.disable()

Cli = Callable[..., subprocess.CompletedProcess[str]]
CliProcess = Callable[..., Command]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that uses a broker or a JVM is an integration test, whatever the marks of its file.

    The files of `tests/` itself come first: some follow a page for a minute, and while the last test of a parallel run
    takes long, the other processes have nothing to do.
    """
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    for item in items:
        if {"services", "spark"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
    collected.keep(config, items)


def pytest_collection_finish() -> None:
    """What was collected is left alone from now on."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Not in the last test's time: other processes may still be at work."""
    end()


@dataclass(frozen=True)
class Services:
    """Where broker and registry are."""

    bootstrap: str
    registry_url: str


@pytest.fixture(autouse=True)
def stores_end_with_their_test() -> Iterator[None]:
    """A store that a test has connected is gone after it. Any failure of a later test would be taken for the store's,
    and be repeated without end."""
    before = location.connected()
    yield
    location._stores.clear()
    location._stores.update(before)


@pytest.fixture(scope="session")
def services(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Services:
    """A broker and a registry that all tests of all parallel processes share."""
    bootstrap, registry_url = os.environ.get("TEST_KAFKA"), os.environ.get("TEST_REGISTRY")
    if bootstrap and registry_url:
        return Services(bootstrap, registry_url)

    def start() -> tuple[dict[str, str], Callable[[], None]]:
        stack = Stack(Settings(home=tmp_path_factory.mktemp("services"))).__enter__()
        return stack.endpoints, lambda: stack.__exit__(None, None, None)

    addresses = borrow(folder_of_all(pytestconfig, tmp_path_factory) / "shared-services", start)
    return Services(addresses["kafka_bootstrap"], addresses["registry_url"])


@pytest.fixture
def prefix(services: Services) -> Iterator[str]:
    """The prefix of every topic, subject and transactional id of one test; its topics are deleted afterwards."""
    own = f"t{uuid.uuid4().hex[:8]}."
    yield own
    admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
    topics = [topic for topic in admin.list_topics(timeout=30).topics if topic.startswith(own)]
    for deletion in admin.delete_topics(topics).values() if topics else ():
        deletion.result()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of this test's own."""
    return tmp_path / "home"


@pytest.fixture
def settings(services: Services, prefix: str, home: Path) -> Settings:
    """Settings on the shared services, with this test's prefix and home."""
    return Settings(
        home=home, kafka_bootstrap=services.bootstrap, registry_url=services.registry_url, topic_prefix=prefix
    )


@pytest.fixture
def cli(settings: Settings, tmp_path: Path) -> Cli:
    """Run a command to its end: `cli("verify", "--json", CORRENTEZA_FAILPOINT="...")`. It never raises by its code."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_to_its_end(settings, tmp_path, UNMODIFIED, arguments, variables)

    return run


@pytest.fixture
def here(settings: Settings) -> Cli:
    """As `cli`, in this process (`run_here`): for tests of what a command finds and says, and not of processes."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_here(settings, arguments, variables)

    return run


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and the monitor in this process wait for broker and registry as long as tests do; a user who looks, and
    a page that is made each second, wait for a second or two. For tests of what they answer."""
    monkeypatch.setattr("correnteza.watching.ANSWER_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("correnteza.commands.status.CONNECT_WITHIN_SECONDS", PATIENCE_SECONDS)
    for module in (
        "correnteza.commands.status",
        "monitoring.lag.hanging",
        "monitoring.lag.waiting",
        "monitoring.watch.broker",
    ):
        monkeypatch.setattr(f"{module}.ANSWER_WITHIN_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def cli_process(settings: Settings, tmp_path: Path) -> Iterator[CliProcess]:
    """Start a command in a process group of its own; it, and all below it, is killed after the test."""
    yield from start_commands(settings, tmp_path)


@pytest.fixture
def alone(home: Path, tmp_path: Path) -> Iterator[CliProcess]:
    """As `cli_process`, without the shared services: for commands that start an embedded stack of their own."""
    yield from start_commands(Settings(home=home), tmp_path)
