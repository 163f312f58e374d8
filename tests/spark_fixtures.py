"""The one Spark session of a test run. A conftest imports both names; the JVM starts with the first test that asks."""

import pytest
from pyspark.sql import SparkSession

from correnteza import spark as sessions
from correnteza.settings import Settings


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs a JVM is no fast test. A conftest that imports `spark` imports this too."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)


_running: list[SparkSession] = []


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    """Every conftest that imports this has a fixture of its own, so the session is kept here; it ends with Python."""
    if not _running:
        _running.append(sessions.start(Settings(home=tmp_path_factory.mktemp("spark-home")), short_lived=True))
    return _running[0]
