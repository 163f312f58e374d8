"""Queries of the tests' own JVM that are kept running as the driver keeps them: restarted alone, with back-off."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from stream_jobs.running.jobs import Trigger
from stream_jobs.running.pace import Pace
from stream_jobs.running.supervised import Supervised
from stream_jobs.running.supervisor import keep_running
from stream_jobs.running.suspension import InputState, Suspension

EVERY_SECOND: Trigger = {"processingTime": "1 second"}


class CountedJob:
    """A job, and every query that was started for it, with its trigger."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self.queries: list[StreamingQuery] = []
        self.triggers: list[Trigger] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def start(self, trigger: Any) -> StreamingQuery:
        self.queries.append(self._job.start(trigger))
        self.triggers.append(trigger)
        return self.queries[-1]

    @property
    def failures(self) -> list[str]:
        """The errors of the queries that failed."""
        found = [query.exception() for query in self.queries if not query.isActive]
        return [str(error) for error in found if error is not None]


@contextmanager
def kept_running(
    *jobs: Any, states: Sequence[InputState] = (), trigger: Trigger | Pace = EVERY_SECOND
) -> Iterator[list[CountedJob]]:
    """Run jobs beside the test; an error that would end the driver is raised at the end.

    Args: states: of each job's inputs, to let it rest.
    """
    counted = [CountedJob(job) for job in jobs]
    suspensions = [Suspension(state) for state in states] or [None] * len(jobs)
    supervised = [
        Supervised(each, trigger, suspension=suspension) for each, suspension in zip(counted, suspensions, strict=True)
    ]
    stop, ended = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            keep_running(supervised, stop, dict)
        except BaseException as error:
            ended.append(error)

    for each in supervised:
        each.start()
    thread = threading.Thread(target=run, name="driver", daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        stop.set()
        thread.join(120)
    if ended:
        raise ended[0]
