"""`rebuild --verify-only`: tables are computed again by their own jobs beside the live ones, compared with them, and
removed.

It finds two errors that `verify` does not find: a job with another result the second time, and a row that was edited by
hand in a column that no check compares.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession

from correnteza.rebuilding import in_lines, subject_of
from foundation.errors import UnsafeState, UsageError
from monitoring.proof import rebuilt
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.rebuild import run, shadow
from stream_jobs.rebuild.bronze import Kafka
from stream_jobs.rebuild.shadow import Shadow
from stream_jobs.running.checkpoints import Checkpoint


@dataclass(frozen=True)
class Window:
    """The time of arrival of the rows to compare. Args: since: included. until: excluded. None means no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def of(self, table: str) -> str:
        """A predicate on rows `g` of a table."""
        arrived = {"bronze": "g.kafka_timestamp", "silver": "g.retrieved_at"}.get(table.partition(".")[0], "")
        column = "g.known_from" if table == QUARANTINE else arrived
        bounds = [(">=", self.since), ("<", self.until)]
        told = [f"{column} {sign} TIMESTAMPTZ '{at.isoformat()}'" for sign, at in bounds if at is not None]
        return " AND ".join(told) or "true"

    def require_known(self, queries: Sequence[str]) -> None:
        """Raises: UsageError if a table has no column for the time of arrival."""
        gold = [query for query in queries if query.startswith("gold.")]
        if gold and (self.since or self.until):
            raise UsageError(f"rows of {gold[0]} have no time of arrival", hint="name gold without --since and --until")


def verify_only(
    places: Places,
    queries: Sequence[str],
    window: Window,
    *,
    spark: Callable[[], SparkSession],
    say: Callable[[str], None],
    stop: threading.Event,
    kafka: Kafka | None = None,
) -> None:
    """Compute the tables of some queries again, and compare; changes nothing. Call only if no rebuild is running.

    Raises:
        UnsafeState: they differ, or a rebuild is unfinished, whose shadow is in the place of this one.
    """
    window.require_known(queries)
    present = run.latest(places)
    if present is not None and not run.is_finished(places, present):
        raise UnsafeState("a rebuild is unfinished", hint="correnteza rebuild --status")
    shadow.remove_left(places)
    differing = []
    for query in queries:
        generation = max(Checkpoint(query, places.checkpoint(query)).newest_generation() + 1, 1)
        say(f"{query}: computing it again …")
        try:
            Shadow(spark(), places, query, generation, kafka).catch_up(stop)
            compared = rebuilt.compared(subject_of(places, query, kafka), within=window.of)
        finally:
            shadow.remove(places, query)
        for each in compared:
            for line in in_lines(each):
                say(line)
        if any(each.differences for each in compared):
            differing.append(query)
    if differing:
        raise UnsafeState(
            f"computed again, {', '.join(differing)} differ; nothing was changed",
            hint=f"correnteza explain-row, for where a row comes from; or correnteza rebuild {' '.join(differing)}",
        )
