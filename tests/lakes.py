"""A lake for one test, without Kafka: the test writes tables, and the real queries read them."""

import shutil
from pathlib import Path
from threading import Event
from typing import Self

from pyspark.sql import SparkSession

from sinks.locks import TableLocks
from stream_jobs.places import Places
from stream_jobs.running.jobs import Driver, Job
from stream_jobs.running.supervisor import drain


class Lake:
    """Tables, checkpoints and locks below one folder.

    Attributes:
        root: holds `lake`, `checkpoints` and `locks`.
    """

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.root = root
        self.places = Places(str(root / "lake"), root / "checkpoints", root / "locks")
        self.driver = Driver(spark, self.places, TableLocks(spark, self.places.locks))

    def copy_to(self, root: Path) -> Self:
        """The same lake with its checkpoints elsewhere."""
        for folder in ("lake", "checkpoints"):
            shutil.copytree(self.root / folder, root / folder)
        return type(self)(self.driver.spark, root)

    def run(self, job: Job) -> None:
        """Let a query read everything from its present position on."""
        try:
            drain([job], at_once=1, stop=Event())
        finally:
            self.driver.locks.release()
