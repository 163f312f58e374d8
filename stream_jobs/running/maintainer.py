"""The thread of a driver that keeps its tables small, beside the queries.

The process that owns a table's writes also maintains it. In a driver this is a thread, because a table needs
maintenance even while its query gets no batch, and code inside the batches would then never run. It maintains one table
at a time, for a bounded time, and never while a query that replaces files of the table runs a batch. In bronze no batch
replaces files, so no lock is needed: an append and a compaction touch different files.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from foundation import clock
from foundation.errors import UnsafeState
from foundation.log import get_logger
from sinks.locks import exclusive
from sinks.maintenance import budget, clean, tidy
from sinks.planning import Group
from stream_jobs.places import Places
from stream_jobs.running import inputs
from stream_jobs.running.maintained_tables import Owned, existing_tables, owned, plan_of, policy_of
from stream_jobs.running.maintenance_lock import MaintenanceLock, all_of
from stream_jobs.running.measures import UNMEASURED, Measures
from stream_jobs.running.readers import Readers

FIRST_SECONDS = 600.0
"""From the start to the first round: queries that catch up need the machine first."""
TABLE_SECONDS = 20.0
"""No new work on a table begins after this time; so its batches wait at most this long, and the time to write one
file."""
ROUND_SECONDS = 300.0
"""No further table is begun after this time; the next round begins with that table."""
WAIT_SECONDS = 30.0
"""How long to wait for the end of a batch."""
END_SECONDS = 5.0

log = get_logger("maintenance")


class Maintainer:
    """The thread of one driver, which owns the tables."""

    def __init__(
        self,
        places: Places,
        writers: Mapping[str, MaintenanceLock | None],
        *,
        every: float,
        measures: Measures = UNMEASURED,
    ) -> None:
        """Args: writers: as of `owned`. every: seconds between two rounds."""
        self._measures = measures
        self._places = places
        self._writers = writers
        self._every = every
        self._stop = threading.Event()
        self._next = ""
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin; the first round comes later."""
        self._thread.start()

    def stop(self) -> None:
        """Stop soon. After this has returned no file is replaced. Files may still be removed: no reader needs those."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)

    def round(self) -> None:
        """Maintain each table once, within the time of a round. A failure is logged and does not affect other
        tables."""
        until = budget(ROUND_SECONDS)
        # Read once per round: if readers advance meanwhile, only more is kept than necessary.
        readers = Readers(self._places, inputs.declared())
        is_whole = True
        for each in self._from_next_table():
            if self._stop.is_set():
                return
            if time.monotonic() > until:
                self._next = each.table
                return
            try:
                self._maintain(each, readers)
            except Exception as error:
                # Whatever failed, the queries go on, and the next round tries again.
                is_whole = False
                log.warning("maintenance_put_off", table=each.table, error=str(error), exc_info=True)
        self._next = ""
        if is_whole:
            self._measures.maintained()

    def _run(self) -> None:
        seconds = min(FIRST_SECONDS, self._every)
        while not self._stop.wait(seconds):
            try:
                self.round()
            except Exception as error:
                log.warning("maintenance_put_off", error=str(error), exc_info=True)
            seconds = self._every

    def _from_next_table(self) -> list[Owned]:
        """The tables in order, starting with the one that the last round did not reach."""
        found = owned(self._writers, existing_tables(self._places))
        start = next((place for place, each in enumerate(found) if each.table == self._next), 0)
        return found[start:] + found[:start]

    def _maintain(self, each: Owned, readers: Readers) -> None:
        with self._lock(each) as is_ours:
            plan = plan_of(self._places, each.table, readers) if is_ours else None
            if plan is None or plan.is_empty:
                return
            began = time.monotonic()
            compacted: list[Group] = []
            is_free = True
            if plan.is_untidy:
                with all_of(each.maintenance_locks, WAIT_SECONDS) as is_free:
                    if is_free:
                        compacted = tidy(
                            plan,
                            policy_of(each.table),
                            now=clock.now(),
                            until=budget(TABLE_SECONDS),
                            is_owner=lambda: not self._stop.is_set(),
                        )
            removed_log, removed_files = clean(plan, until=budget(TABLE_SECONDS))
        self._measures.files_removed(removed_files + removed_log)
        log.info(
            "table_maintained",
            table=each.table,
            expired=len(plan.expired),
            compacted=sum(len(group.files) for group in compacted),
            into=len(compacted),
            removed_files=removed_files,
            removed_log_files=removed_log,
            held_by=plan.held_by,
            was_busy=not is_free,
            seconds=round(time.monotonic() - began, 2),
        )

    def _lock(self, each: Owned) -> AbstractContextManager[bool]:
        return _if_free(self._places, each.table) if each.is_shared else nullcontext(True)


@contextmanager
def _if_free(places: Places, table: str) -> Iterator[bool]:
    """Yields whether the lock of a shared table was free; if so, it is held until the context ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(places.locks, table, places.lake))
            is_free = True
        except UnsafeState:
            is_free = False
        yield is_free
