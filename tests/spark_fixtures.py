"""The one Spark session of a test process, for tests that import `spark`; and programs in a JVM of their own."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from correnteza import spark as sessions
from correnteza.embedded import class_archive
from correnteza.embedded.jars import class_path
from correnteza.embedded.jars import folder as jar_folder
from correnteza.embedded.java import spark_java_home
from correnteza.settings import Settings
from tests import shared_spark
from tests.helpers import SHORT_LIVED_JVM
from tests.shared_services import borrow, folder_of_all

DEADLINE_SECONDS = 240
_running: list[SparkSession] = []


@pytest.fixture(scope="session")
def spark(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    """Every conftest that imports this has a fixture of its own, so the session is kept here; it ends with Python."""
    if not _running:
        home = tmp_path_factory.mktemp("spark-home")
        shared = _shared(pytestconfig, tmp_path_factory, home)
        _running.append(shared or sessions.start(Settings(home=home), short_lived=True))
    return _running[0]


def _shared(config: pytest.Config, factory: pytest.TempPathFactory, home: Path) -> SparkSession | None:
    """A session in the JVM of all processes of a parallel run; None for a process that is alone, or that replaces one
    which crashed."""
    if not hasattr(config, "workerinput"):
        return None
    users = [f"gw{number}" for number in range(config.workerinput["workercount"])]
    addresses = borrow(folder_of_all(config, factory) / "shared-spark", lambda: shared_spark.start(home, users))
    address = addresses.get(config.workerinput["workerid"])
    return shared_spark.connected(address) if address else None


def in_jvms_apart(
    settings: Settings, folder: Path, program: str, ways: tuple[str, str], *given: Path
) -> list["subprocess.CompletedProcess[str]"]:
    """Run a Python program that starts a JVM of its own, once each way, both at once: each takes some ten seconds.

    Args: program: gets Spark's jars, a scratch folder, what is given, and the way.
    """
    jars = class_path(jar_folder(settings), "spark")[0].parent
    options = [*SHORT_LIVED_JVM.values(), *class_archive.used(class_archive.of_spark(settings))]
    java = {
        **os.environ,
        "SPARK_SUBMIT_OPTS": " ".join(f'"{option}"' for option in options),
        "JAVA_HOME": str(spark_java_home(settings)),
    }

    def run(way: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", program, jars, folder / way, *given, way]
        return subprocess.run(command, env=java, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)

    with ThreadPoolExecutor(len(ways)) as pool:
        return list(pool.map(run, ways))
