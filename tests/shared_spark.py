"""One JVM with Spark for all processes of a parallel run, where each would load, compile and warm up the same classes.

Every process has a gateway and a session of its own in it, so settings, temporary views and queries are not shared.
Hadoop's configuration, cached frames and Delta's logs are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from correnteza import spark as sessions
from correnteza.settings import Settings
from foundation.files import replace_file
from stream_jobs.running import session
from tests.helpers import ROOT, wait_for

MEMORY = "8g"
START_SECONDS = 240
END_SECONDS = 90


def start(home: Path, users: Sequence[str]) -> tuple[dict[str, str], Callable[[], None]]:
    """Start the JVM. Returns: user → where its gateway is, for `connected`; and what stops it."""
    there = home / "gateways.json"
    command = [sys.executable, "-m", "tests.shared_spark", str(home), *users]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def addresses() -> dict[str, str] | None:
        assert process.poll() is None, "the JVM of all tests did not start"
        return json.loads(there.read_text()) if there.exists() else None

    def stop() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(END_SECONDS)

    return wait_for(addresses, "the JVM of all tests", START_SECONDS), stop


def connected(address: str) -> SparkSession:
    """A session of this process's own in the JVM."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # Only while it is asked for: a command that this process starts has a JVM of its own.
    os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"] = address.split()
    try:
        gateway = launch_gateway()
    finally:
        del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]
    first: Any = gateway.jvm.SparkSession.getDefaultSession().get()
    context = gateway.jvm.JavaSparkContext.fromSparkContext(first.sparkContext())
    return SparkSession(
        SparkContext(gateway=gateway, jsc=context, conf=SparkConf(_jconf=context.getConf())),
        jsparkSession=first.newSession(),
    )


def _run(home: Path, users: Sequence[str]) -> None:
    """Have the JVM, and a gateway for each user, until standard input closes."""
    # A task that waits, as for a store that hangs, keeps nobody else's from a core; and frames have as many partitions
    # as in a JVM of one's own.
    session.SESSION["spark.default.parallelism"] = str(os.cpu_count())
    threads = len(users) * (os.cpu_count() or 1)
    spark = sessions.start(Settings(home=home, spark_driver_memory=MEMORY), master=f"local[{threads}]")
    context: Any = spark.sparkContext
    addresses = {}
    for user in users:
        server = context._jvm.org.apache.spark.api.python.Py4JServer(context._jsc.sc().conf())
        server.start()
        addresses[user] = f"{server.getListeningPort()} {server.secret()}"
    replace_file(home / "gateways.json", json.dumps(addresses))
    sys.stdin.read()
    sessions.end(spark)


if __name__ == "__main__":
    _run(Path(sys.argv[1]), sys.argv[2:])
