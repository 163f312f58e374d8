"""What the jobs of silver and gold share: they read tables as streams, and run our own code for each batch."""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from foundation.errors import CorrentezaError, TransientError, UnsafeState
from foundation.log import get_logger
from stream_jobs.places import Places
from stream_jobs.running import first_read, handover, unread
from stream_jobs.running.checkpoints import Guard
from stream_jobs.running.guards import checkpoint_of, open_checkpoint
from stream_jobs.running.jobs import Batches, Driver, Trigger
from stream_jobs.running.maintenance_lock import MaintenanceLock

LOCK_SECONDS = 60.0
"""How long a swap waits for the end of maintenance, which is bounded, and of a batch that was told to stop."""


def is_rebuild_due(places: Places, query: str) -> bool:
    """Whether a rebuild waits for a query's tables. True too if that cannot be read: then the start raises."""
    try:
        return handover.is_due(places, query)
    except UnsafeState:
        return True


def hand_over(places: Places, query: str, lock: MaintenanceLock) -> None:
    """Carry out the swap of a rebuild that waits for a query's tables, while no maintenance of them runs.

    Raises:
        TransientError: maintenance of the tables has not ended in time.
        UnsafeState: as `handover.carry_out`.
    """
    with lock.maintenance(LOCK_SECONDS) as is_free:
        if not is_free:
            raise TransientError(f"{query}: a rebuild waits for its tables, and so does this query")
        handover.carry_out(places, query)
    get_logger("rebuild").info("rebuild_handed_over", query=query)


class FollowingJob:
    """A query that reads tables as they grow.

    Attributes:
        inputs: those tables (`<layer>.<table>`).
    """

    def __init__(
        self, name: str, inputs: tuple[str, ...], driver: Driver, work: Callable[[DataFrame, int], None]
    ) -> None:
        """Args: name: `<layer>.<table>`. work: called with each batch, as in `Batches`."""
        self.name = name
        self.inputs = inputs
        self._driver = driver
        self._checkpoint = checkpoint_of(driver.places, name)
        self._batches = Batches(name, work)
        self._generation = 0

    def prepare(self) -> None:
        """Lock the query's tables, and create or widen all tables that it reads and writes, as declared."""
        raise NotImplementedError

    def input(self) -> DataFrame:
        """The stream whose batches it processes. Called after `prepare`."""
        raise NotImplementedError

    def stream(self, path: str, reading: Mapping[str, str]) -> DataFrame:
        """A table that it reads, as it grows. Called by `input`.

        Args:
            reading: further options of Delta's source.
        """
        begin = first_read.options(path, self._checkpoint, self._generation)
        return self._driver.spark.readStream.format("delta").options(**reading, **begin).load(path)

    def start(self, trigger: Trigger) -> StreamingQuery:
        """Start reading where the checkpoint ends."""
        self.prepare()
        checkpoint = str(self._checkpoint.path(self.open_guard().generation))
        return self._batches.start(self.input(), checkpoint=checkpoint, trigger=trigger)

    @property
    def failure(self) -> CorrentezaError | None:
        """What stopped the query from inside a batch."""
        return self._batches.failure

    def end_before_next_batch(self) -> None:
        """As `Job`."""
        self._batches.end_before_next_batch()

    @property
    def ended_as_asked(self) -> bool:
        """As `Job`."""
        return self._batches.ended_as_asked

    @property
    def maintenance_lock(self) -> MaintenanceLock:
        """The lock between its batches and the maintenance of its tables."""
        return self._batches.maintenance_lock

    def has_unread(self) -> bool:
        """Whether starting would find rows in an input, a batch to repeat, or a rebuild that waits for the tables.

        Raises: UnsafeState, as `start`.
        """
        return self.outdated or unread.in_tables(self._driver.places, self.name, self.inputs)

    @property
    def outdated(self) -> bool:
        """Whether it must be restarted: a rebuild waits for its tables. Its plan depends on nothing that changes."""
        return is_rebuild_due(self._driver.places, self.name)

    def open_guard(self) -> Guard:
        """The guard to start under, once a rebuild that waits for the tables has had them.

        Raises:
            TransientError: maintenance of the tables has not ended in time.
            UnsafeState: as `open_checkpoint` and `handover.carry_out`.
        """
        if self.outdated:
            hand_over(self._driver.places, self.name, self.maintenance_lock)
        guard = open_checkpoint(self._driver.places, self.name, stamp=True)
        self._generation = guard.generation
        return guard

    def repair(self, error: str) -> bool:
        """Always false: such a query cannot remove the cause of a failure."""
        return False
