"""The one Spark session of a test run. A conftest imports `spark`; the JVM starts with the first test that asks."""

import pytest
from pyspark.sql import SparkSession

from correnteza import spark as sessions
from correnteza.settings import Settings

_running: list[SparkSession] = []


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    """Every conftest that imports this has a fixture of its own, so the session is kept here; it ends with Python."""
    if not _running:
        _running.append(sessions.start(Settings(home=tmp_path_factory.mktemp("spark-home")), short_lived=True))
    return _running[0]
