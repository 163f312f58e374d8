"""Whether a query's running batch makes progress: a batch, a Spark job or a task of it has ended lately."""

import time
from dataclasses import dataclass, field
from typing import Any

from pyspark import SparkContext
from pyspark.sql.streaming.query import StreamingQuery

STALL_SECONDS = 600.0
"""How long a batch may make no visible progress. A batch takes seconds, and its longest task a minute or two."""
LOOK_SECONDS = 5.0


@dataclass
class Stall:
    """Watches the progress of one query since it started."""

    query: StreamingQuery
    _sign: Any = field(default=None, init=False)
    _since: float = field(default_factory=time.monotonic, init=False)
    _next_look: float = field(default=0.0, init=False)

    def is_reached(self) -> bool:
        """Whether the running batch has made no visible progress for `STALL_SECONDS`. Call it often."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_SECONDS
        sign = signs(self.query) if self.query.status["isTriggerActive"] else None
        if sign is None or sign != self._sign:
            self._sign, self._since = sign, now
        return now - self._since >= STALL_SECONDS


def signs(query: StreamingQuery) -> Any:
    """A value that changes whenever a batch of the query, a job of its batch or a task of such a job has ended."""
    jvm_query: Any = query._jsq
    latest = jvm_query.lastProgress()
    return (None if latest is None else latest.timestamp(), _jobs(query))


def _jobs(query: StreamingQuery) -> tuple[tuple[int, int], ...]:
    """Running Spark jobs of the query: id, and how many tasks have ended. A query's job group bears its run's id."""
    jvm: Any = SparkContext._jvm
    running = jvm.java.util.Collections.singletonList(jvm.org.apache.spark.JobExecutionStatus.RUNNING)
    jobs = query._jsq.sparkSession().sparkContext().statusStore().jobsList(running)
    found = [jobs.apply(number) for number in range(jobs.size())]
    own = [each for each in found if each.jobGroup().isDefined() and each.jobGroup().get() == query.runId]
    return tuple(sorted((each.jobId(), each.numCompletedTasks()) for each in own))
