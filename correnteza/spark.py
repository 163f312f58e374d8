"""Start a Spark session from the settings: the pinned Java, the pinned jars, the driver's memory."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from correnteza import settings_errors
from correnteza.embedded import class_archive
from correnteza.embedded.jars import checked, class_path, folder
from correnteza.embedded.java import spark_java_home
from correnteza.settings import Settings
from foundation.errors import UsageError
from storage.location import Remote
from stream_jobs.running import cluster, session

NICENESS = 10
"""Priority of a process beside a driver: a shadow is built at a lower priority than the live queries."""

JVM_END_SECONDS = 60.0
"""How long a JVM may take to end; it removes its temporary files meanwhile."""


def start(
    settings: Settings, *, short_lived: bool = False, master: str = "local[*]", archive_to: Path | None = None
) -> SparkSession:
    """Start the JVM of this process.

    Args:
        short_lived: a quick start instead of full speed, for a JVM that runs only some minutes.
        master: of a cluster, for a driver; a session beside it would wait for the cores that it has taken.
        archive_to: the file that the JVM writes a class archive to when it ends.

    Raises:
        DependencyUnavailable: set-up has not run, or the cluster cannot be reached.
        UnsafeState: a JVM runs without the Avro limits, or a jar is not the one that the lock names.
        UsageError: a cluster is given, and the lake is on a disk.
    """
    if not cluster.is_local(master) and not isinstance(settings.lake_root, Remote):
        raise UsageError(
            f"the tasks of {master} cannot reach a lake on this machine's disk",
            hint="set CORRENTEZA_LAKE to s3://<bucket>/<prefix>; or unset CORRENTEZA_SPARK_MASTER",
        )
    jars = class_path(checked(folder(settings), "spark"), "spark")
    # Spark's launcher finds Java only by this variable.
    os.environ["JAVA_HOME"] = str(spark_java_home(settings))
    # and Python workers by this one, because another Python on the PATH may have another version.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    scratch = settings.home.resolve() / "spark"
    scratch.mkdir(parents=True, exist_ok=True)
    with _sigterm_ignored(), _secrets_kept():
        spark = session.start(
            jars,
            driver_memory=settings.spark_driver_memory,
            scratch=scratch,
            short_lived=short_lived,
            jvm_options=(
                class_archive.used(class_archive.of_spark(settings))
                if archive_to is None
                else class_archive.written_to(archive_to)
            ),
            master=master,
        )
    reach_store(spark, settings)
    return spark


def reach_store(spark: SparkSession, settings: Settings) -> None:
    """Tell a session how to reach the store of the lake, if it is in one. The keys stand in no command line."""
    if isinstance(settings.lake_root, Remote):
        configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
        for name, value in settings.lake_root.s3.hadoop.items():
            configuration.set(name, value)


def end(spark: SparkSession, within: float = JVM_END_SECONDS) -> None:
    """Stop the session and end its JVM, which would otherwise keep its memory for as long as this process runs.

    Args: within: seconds.
    """
    gateway: Any = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # the JVM ends when this closes
    gateway.proc.wait(within)


@contextmanager
def _secrets_kept() -> Iterator[None]:
    """Remove secrets from the environment while a JVM is started, so that it and its Python workers do not get them."""
    secret = [name for name in os.environ if name.upper() in settings_errors.secret_variables(Settings.model_fields)]
    before = {name: os.environ.pop(name) for name in secret}
    try:
        yield
    finally:
        os.environ.update(before)


@contextmanager
def _sigterm_ignored() -> Iterator[None]:
    """While this context is active, a started JVM ignores SIGTERM and ends only with this process.

    Service managers send SIGTERM to every process of a service. This one stops its queries at batch boundaries, and
    needs the JVM for that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def when_needed(settings: Settings) -> Iterator[Callable[[], SparkSession]]:
    """A session that is started at its first use, at a lower priority than a driver."""

    @cache
    def spark() -> SparkSession:
        os.nice(NICENESS)
        return start(settings)

    try:
        yield spark
    finally:
        if spark.cache_info().currsize:
            spark().stop()
