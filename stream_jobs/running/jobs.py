"""The jobs that the driver starts, watches and restarts, one per table, and the code that all layers share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from foundation.errors import CorrentezaError, TransientError
from foundation.failpoints import failpoint
from foundation.log import get_logger
from sinks.locks import TableLocks
from storage import health
from stream_jobs.places import Places
from stream_jobs.running.attempts import NO_SPACE
from stream_jobs.running.maintenance_lock import MaintenanceLock
from stream_jobs.running.measures import UNMEASURED, Measures
from stream_jobs.running.topic_ids import current_ids

log = get_logger("stream")

LAYERS = ("bronze", "silver", "gold")

Trigger = dict[str, str | bool]
"""What `DataStreamWriter.trigger` takes: `{"availableNow": True}` or `{"processingTime": "5 seconds"}`."""

MOST_SAID = 500
"""How many characters of Spark's message our error repeats; the log has the whole message."""


class Job(Protocol):
    """One streaming query."""

    @property
    def name(self) -> str:
        """`<layer>.<table>`: of the query, its checkpoint, its lock and its scheduler pool."""
        ...

    def prepare(self) -> None:
        """Lock its tables, and create or widen them as declared. Raises: TableIsTakenError, a kind of UnsafeState."""
        ...

    def start(self, trigger: Trigger) -> StreamingQuery:
        """Prepare, check every guard, start. Raises: UnsafeState when starting could lose or double rows."""
        ...

    def repair(self, error: str) -> bool:
        """Remove the cause of a failure if it is known. Returns whether it was removed, so that a restart makes sense
        at once.

        Raises:
            TransientError: try again later; a service does not answer.
        """
        ...

    @property
    def outdated(self) -> bool:
        """Whether the running query must be restarted for its plan to be right."""
        ...

    @property
    def failure(self) -> CorrentezaError | None:
        """The error that stopped the query from inside a batch; Spark passes on only its text."""
        ...

    def end_before_next_batch(self) -> None:
        """Let the running query end when its next batch begins, before it writes anything. Does not wait."""
        ...

    @property
    def ended_as_asked(self) -> bool:
        """Whether the query has ended because of `end_before_next_batch`; starting it repeats that batch."""
        ...


@dataclass
class Driver:
    """What every job of one driver shares."""

    spark: SparkSession
    places: Places
    locks: TableLocks
    measures: Measures = UNMEASURED


class AbsentTopicError(TransientError):
    """The broker has no topic of this name. The query that reads it waits for it; the others go on."""


def absent(topic: str) -> AbsentTopicError:
    """The error of a topic that does not exist."""
    return AbsentTopicError(f"topic {topic} does not exist", hint="correnteza topics apply; or its owner creates it")


@dataclass(frozen=True)
class Broker:
    """Where the topics are, and the prefix of their names."""

    bootstrap: str
    prefix: str

    def topic_id(self, topic: str) -> str:
        """The id the topic got when it was created. Raises: as `topic_ids`, and AbsentTopicError if there is none."""
        found = self.topic_ids([topic])
        if topic not in found:
            raise absent(topic)
        return found[topic]

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The ids of those topics that exist, in one request. Raises: TransientError: the broker does not answer."""
        return current_ids(self.bootstrap, topics)


@dataclass
class Batches:
    """A query that calls a function with each micro-batch, and keeps the error that stopped it."""

    name: str
    work: Callable[[DataFrame, int], None]
    failure: CorrentezaError | None = field(default=None, init=False)
    ended_as_asked: bool = field(default=False, init=False)
    maintenance_lock: MaintenanceLock = field(default_factory=MaintenanceLock, init=False)
    _is_to_end: bool = field(default=False, init=False)

    def start(self, frame: DataFrame, *, checkpoint: str, trigger: Trigger) -> StreamingQuery:
        """Start it in its own scheduler pool."""
        self.failure = None
        self._is_to_end = self.ended_as_asked = False
        # Queries share the cores fairly. The next query that this thread starts sets its own pool.
        frame.sparkSession.sparkContext.setLocalProperty("spark.scheduler.pool", self.name)
        return (
            frame.writeStream.queryName(self.name)
            .foreachBatch(self._run)
            .option("checkpointLocation", checkpoint)
            .trigger(**trigger)  # type: ignore[arg-type]
            .start()
        )

    def end_before_next_batch(self) -> None:
        """As `Job`."""
        self._is_to_end = True

    def _run(self, batch: DataFrame, batch_id: int) -> None:
        if self._is_to_end:
            self.ended_as_asked = True
            raise RuntimeError(f"{self.name} ends before batch {batch_id}, as it was asked to")
        try:
            failpoint(f"batch.{self.name}")
            with self.maintenance_lock.batch():
                self.work(batch, batch_id)
        except CorrentezaError as error:
            self.failure = error
            raise RuntimeError(str(error)) from None
        except Exception as error:
            log.error("batch_failed", query=self.name, batch_id=batch_id, exc_info=True)
            if (away := health.of_store(error)) is not None:
                self.failure = away
                raise RuntimeError(str(away)) from None
            first_line = next(iter(str(error).splitlines()), "")[:MOST_SAID]
            if NO_SPACE in whole_message(error) and NO_SPACE not in first_line:
                first_line += f": {NO_SPACE}"  # so that the supervisor waits and retries
            self.failure = CorrentezaError(
                f"{self.name} failed in batch {batch_id}: {type(error).__name__}: {first_line}",
                hint="see the log for the whole trace; then run again",
            )
            # Spark matches a regular expression against the whole trace when it stops the query; a long one
            # overflows its stack.
            raise RuntimeError(str(self.failure)) from None


def whole_message(error: BaseException) -> str:
    """The message of a Spark error and of its causes, which pyspark keeps in a private attribute."""
    messages = []
    cause: BaseException | None = error
    while cause is not None:
        messages.append(str(cause))
        cause = getattr(cause, "_cause", None)
    return "\n".join(messages)
