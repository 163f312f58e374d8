"""The memory that the driver's JVM uses. A thread reads it, so that no scrape waits for a JVM."""

import threading
from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from stream_jobs.running.measures import Measures

EVERY_SECONDS = 10.0


class Memory:
    """The thread of one driver."""

    def __init__(self, spark: SparkSession, measures: Measures) -> None:
        # The JVM's memory bean is looked up once; then each look reads four numbers.
        jvm: Any = spark.sparkContext._jvm
        self._bean = jvm.java.lang.management.ManagementFactory.getMemoryMXBean()
        self._measures = measures
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Read the memory now, and then every ten seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, without waiting for it: a JVM that hangs does not answer."""
        self._stop.set()

    def look(self) -> None:
        """Read the memory once. Raises: Py4JError or OSError when the JVM is gone."""
        for area, usage in (("heap", self._bean.getHeapMemoryUsage()), ("nonheap", self._bean.getNonHeapMemoryUsage())):
            most = usage.getMax()
            self._measures.memory(area, usage.getUsed(), usage.getCommitted(), most if most >= 0 else None)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except (Py4JError, OSError):
                return  # the JVM is gone, which the queries' supervisor reports
            if self._stop.wait(EVERY_SECONDS):
                return
