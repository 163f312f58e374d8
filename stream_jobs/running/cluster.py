"""What a session needs whose tasks run in executors of a cluster, and not in the driver's JVM."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from foundation.errors import DependencyUnavailable, UnsafeState

PATIENCE_SECONDS = 120.0
"""How long a cluster may take to give the first executor."""

TASKS = 16
"""Of the look at executors: more than a small cluster has cores, so that each executor gets some."""


def is_local(master: str) -> bool:
    """Whether the driver's own JVM runs the tasks."""
    return master.startswith("local")


def of_executors(master: str, class_path: str, options: Sequence[str]) -> dict[str, str]:
    """Session settings: executors have the driver's jars and JVM options, and reach the driver.

    Args:
        master: `spark://host:port[,host:port]`.

    Raises:
        DependencyUnavailable: the name of the master's host has no address.
    """
    own = _own_address(master)
    return {
        "spark.driver.host": own,
        "spark.driver.bindAddress": own,
        "spark.executor.extraClassPath": class_path,
        "spark.executor.extraJavaOptions": " ".join(f'"{option}"' for option in options),
    }


def away(master: str) -> DependencyUnavailable:
    """What to raise when a cluster cannot be used."""
    return DependencyUnavailable(
        f"the Spark cluster {master} does not answer, or gives no executor",
        hint="look at the master's page and log: workers, free cores, the same secret",
    )


def require_login(settings: Mapping[str, str]) -> None:
    """Look at a session's settings, those of `spark-defaults.conf` among them.

    Raises:
        UnsafeState: other machines reach the driver, and Spark's processes ask one another for no secret.
    """
    driver = settings["spark.driver.host"]
    if settings.get("spark.authenticate") != "true" and not ip_address(driver).is_loopback:
        raise UnsafeState(
            f"everybody who reaches {driver} could run programs in the driver and read the store's keys",
            hint="set spark.authenticate and its secret in spark-defaults.conf: docs/spark-cluster.md",
        )


def require_properties(spark: SparkSession, wanted: Mapping[str, str]) -> None:
    """Look at the JVM of each executor that takes tasks now.

    Raises:
        DependencyUnavailable: the cluster gives no executor in time, for example because another driver has its cores.
        UnsafeState: one runs without a system property, or with another value.
    """
    found = spark.range(0, TASKS, 1, TASKS).selectExpr(
        *(f"reflect('java.lang.System', 'getProperty', '{name}') as p{at}" for at, name in enumerate(wanted))
    )
    timer = threading.Timer(PATIENCE_SECONDS, spark.sparkContext.cancelAllJobs)
    timer.start()
    try:
        every = found.distinct().collect()
    except (Py4JJavaError, PySparkException) as error:
        raise away(str(spark.sparkContext.master)) from error
    finally:
        timer.cancel()
    for values in every:
        for (name, value), has in zip(wanted.items(), values, strict=True):
            if has != value:
                raise UnsafeState(
                    f"an executor runs without {name}={value} (found {has}): one hostile record would kill it",
                    hint="start the workers of the cluster without JVM options of their own",
                )


def _own_address(master: str) -> str:
    """This machine's address on the way to the master."""
    reasons = []
    for host, port in _places(master):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            try:
                way.connect((host, port))  # sends nothing
                return str(way.getsockname()[0])
            except OSError as error:
                reasons.append(f"{host}: {error}")
    raise DependencyUnavailable(
        f"no way to the Spark master {master}: {'; '.join(reasons)}",
        hint="set CORRENTEZA_SPARK_MASTER to spark://host:port",
    )


def _places(master: str) -> Iterator[tuple[str, int]]:
    for each in master.removeprefix("spark://").split(","):
        place = urlsplit(f"//{each}")
        yield place.hostname or "", place.port or 7077
