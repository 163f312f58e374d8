"""A Spark session as the settings want it: the pinned Java, the pinned jars, the driver's memory."""

import os
import sys

from pyspark.sql import SparkSession

from correnteza.embedded.jars import class_path, folder, require
from correnteza.embedded.java import spark_java_home
from correnteza.settings import Settings
from stream_jobs import session


def start(settings: Settings, *, short_lived: bool = False) -> SparkSession:
    """Start the JVM of this process.

    Args:
        short_lived: trade peak speed for a quick start, for a JVM that lives some minutes.

    Raises:
        DependencyUnavailable: set-up has not run.
        UnsafeState: the JVM runs without the Avro limits.
    """
    jars = class_path(require(folder(settings)), "spark")
    # Spark's launcher finds Java by this variable and by nothing else.
    os.environ["JAVA_HOME"] = str(spark_java_home(settings))
    # Its Python workers, by this one; another Python on the PATH may be of another version.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    scratch = settings.home.resolve() / "spark"
    scratch.mkdir(parents=True, exist_ok=True)
    return session.start(jars, driver_memory=settings.spark_driver_memory, scratch=scratch, short_lived=short_lived)
