"""A lock between a query's batches and the maintenance of the tables that the query writes: never both at a time.

A batch lists a table's files, computes, and replaces some of them. A compaction replaces files too, and delta-rs finds
no conflict between the two commits: a compaction during a batch would restore the rows that the batch removes.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager


class MaintenanceLock:
    """The lock of one query."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._batches = 0
        self._is_maintained = False

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Held while a batch runs. The batch first waits for the end of maintenance, which takes a bounded time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_maintained)
            self._batches += 1
        try:
            yield
        finally:
            with self._changed:
                self._batches -= 1
                self._changed.notify_all()

    @contextmanager
    def maintenance(self, seconds: float) -> Iterator[bool]:
        """Yields whether maintenance may begin; if so, batches wait until the context ends.

        Args: seconds: how long to wait for the end of a running batch.
        """
        with self._changed:
            is_free = self._changed.wait_for(lambda: not self._batches and not self._is_maintained, seconds)
            self._is_maintained |= is_free
        try:
            yield is_free
        finally:
            if is_free:
                with self._changed:
                    self._is_maintained = False
                    self._changed.notify_all()


@contextmanager
def all_of(locks: Iterable[MaintenanceLock], seconds: float) -> Iterator[bool]:
    """As `MaintenanceLock.maintenance`, for a table that several queries write.

    Args: seconds: how long to wait for the running batches of all of them together.
    """
    until = time.monotonic() + seconds
    with ExitStack() as stack:
        yield all(stack.enter_context(each.maintenance(max(0.0, until - time.monotonic()))) for each in locks)
