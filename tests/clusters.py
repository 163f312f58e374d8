"""A Spark standalone cluster for tests: a master and two workers of the pinned jars, on the loopback interface."""

import json
import secrets
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

from correnteza.embedded import ports
from correnteza.embedded.java import spark_java_home
from correnteza.embedded.processes import Program, spawn, stop_tree
from correnteza.settings import Settings
from tests.helpers import wait_for

WORKERS = 2
SPARK = Path(pyspark.__file__).parent
DEFAULTS = """\
spark.authenticate true
spark.network.crypto.enabled true
spark.master.rest.enabled false
"""
"""As docs/spark-cluster.md has it."""


@dataclass(frozen=True)
class Cluster:
    """Its address, and the folder in which workers keep the logs of their executors.

    Attributes:
        conf: a folder with `spark-defaults.conf`: the secret with which all processes of Spark log in to one another.
    """

    master: str
    folder: Path
    conf: Path

    @property
    def executors(self) -> list[Path]:
        """The logs of all executors so far."""
        return sorted(self.folder.glob("work-*/app-*/*/stderr"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """One core and 1 GB of executors per worker."""
    settings, folder = Settings(home=tmp_path / "cluster"), tmp_path / "cluster"
    port, page = ports.free(), ports.free()
    master = f"spark://127.0.0.1:{port}"
    conf = folder / "conf"
    conf.mkdir(parents=True)
    (conf / "spark-defaults.conf").write_text(DEFAULTS + f"spark.authenticate.secret {secrets.token_hex()}\n")
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, kind: str, *arguments: str) -> None:
        variables = {
            "SPARK_HOME": str(SPARK),
            "SPARK_CONF_DIR": str(conf),
            "SPARK_DAEMON_MEMORY": "384m",
            "JAVA_HOME": str(spark_java_home(settings)),
        }
        program = [str(SPARK / "bin/spark-class"), f"org.apache.spark.deploy.{kind}", *arguments]
        running.append(spawn(Program(name, program, folder / f"{name}.log", variables, is_foreign=True), folder))

    def alive() -> int:
        with suppress(OSError, ValueError), urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as told:
            return int(json.load(told)["aliveworkers"])
        return -1

    own = ("--host", "127.0.0.1", "--webui-port")
    try:
        start("master", "master.Master", *own, str(page), "--port", str(port))
        wait_for(lambda: alive() == 0, "a master")
        for number in range(WORKERS):
            own_folder = ("--work-dir", str(folder / f"work-{number}"))
            has = (*own, str(ports.free()), "--cores", "1", "--memory", "1g", *own_folder)
            start(f"worker-{number}", "worker.Worker", *has, master)
        wait_for(lambda: alive() == WORKERS, "its workers")
        yield Cluster(master, folder, conf)
    finally:
        for process in running:
            stop_tree(process.pid)
            process.wait()
