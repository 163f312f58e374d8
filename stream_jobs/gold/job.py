"""Keep a declared gold table up to date: changed rows → the groups they touch → recompute these groups → write.

The batch says only *which* groups changed. Their content is recomputed from silver as it is when the batch first reads
it. Silver may then hold more than the batch; in that case a later batch recomputes the same groups with the same
result.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from foundation import clock
from foundation.log import get_logger
from sinks import sql, tables
from sinks.arrow_frames import struct_of
from sinks.ops import quality
from sinks.recompute import GoldTarget, Recomputed, recompute, replace
from sinks.table_in_file import table_in_file
from sinks.transactions import Batch
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.model import GoldTable, Input, Revisions, StaticTable
from stream_jobs.places import EXPECTATIONS
from stream_jobs.running.following import FollowingJob
from stream_jobs.running.jobs import Driver
from stream_jobs.silver.asof import FrameCache, Known, Snapshots
from stream_jobs.silver.job import ensure_tables
from stream_jobs.silver.tables import model as silver_tables

MOST_BYTES_PER_BATCH = "64m"
"""Bytes of revision files per input: this process holds the groups that they touch. Larger than silver's limit, because
only the group columns are read, and groups repeat."""

MOST_GROUPS_AT_ONCE = 100_000
"""Groups whose rows are computed and held in memory together. A batch may touch any number: new metadata of a station
touch every day of its history."""

READING = {
    "maxBytesPerTrigger": MOST_BYTES_PER_BATCH,
    # Silver deletes versions that a late row made obsolete, and then appends one of the same key: sinks/late.py.
    "skipChangeCommits": "true",
}


class GoldJob(FollowingJob):
    """The query of one table that follows its inputs."""

    def __init__(self, table: GoldTable, driver: Driver) -> None:
        super().__init__(f"gold.{table.name}", table.reads, driver, self._recompute)
        self._table = table
        self._path = driver.places.table(self.name)
        self._cache = FrameCache()

    def prepare(self) -> None:
        """Lock the table, and create or widen it and those that it reads as declared."""
        spark, table = self._driver.spark, self._table
        self._driver.locks.acquire(self.name)
        declared = silver_tables.discover()
        for each in table.inputs:
            ensure_tables(self._driver, declared[each.dataset])
        schema = struct_of(table.schema)
        self._target = target_of(table, self._path, schema)
        tables.ensure(spark, self._path, schema, statistics_on=(*table.group, "known_from"))
        quality.ensure(spark, self._driver.places.table(EXPECTATIONS))

    def input(self) -> DataFrame:
        """The groups that new revisions touch."""
        return reduce(DataFrame.unionByName, (self._groups(each) for each in self._table.inputs))

    def _groups(self, each: Input) -> DataFrame:
        path = self._driver.places.table(f"silver.{each.dataset}_revisions")
        touched = each.groups(self.stream(path, READING))
        return touched if self._table.widen else touched.select(*self._table.group)

    def _recompute(self, changed: DataFrame, batch_id: int) -> None:
        silver = Known(changed.sparkSession, Snapshots(self._driver.places), cache=self._cache)
        batch = Batch(self.name, self._generation, batch_id)

        def count(found: Recomputed) -> None:
            quality.write(
                self._driver.places.table(EXPECTATIONS),
                self.name,
                self._table.expectations,
                batch=batch,
                rows=found.rows,
                broken={**found.broken, quality.ANY: found.flawed},
                at=clock.now(),
            )

        groups, found = update(self._table, silver, changed, self._target, batch, count=count)
        if not groups:
            return
        broken = {name: rows for name, rows in found.broken.items() if rows}
        self._driver.measures.rows_judged("gold", {"recomputed": found.rows})
        self._driver.measures.broken(self.name, sum(broken.values()))
        get_logger("gold").info(
            "groups_recomputed", query=self.name, batch_id=batch_id, groups=groups, rows=found.rows, broken=broken
        )


def update(
    table: GoldTable,
    silver: Revisions,
    changed: DataFrame,
    target: GoldTarget,
    batch: Batch,
    *,
    count: Callable[[Recomputed], None] = lambda found: None,
) -> tuple[int, Recomputed]:
    """Recompute and write what a batch of changes touches.

    Args:
        changed: the result of the inputs' `groups` for the new revisions.
        count: as of `recompute`.

    Returns: how many groups were recomputed, and the counts of `recompute`.
    """
    groups = groups_touched(table, silver, changed)
    return groups.rows.num_rows, refill(table, silver, groups, target, batch, count=count)


def refill(
    table: GoldTable,
    silver: Revisions,
    groups: Groups,
    target: GoldTarget,
    batch: Batch,
    *,
    count: Callable[[Recomputed], None] = lambda found: None,
) -> Recomputed:
    """Recompute and write some groups; none are nothing to do. Args and returns: as of `update`."""
    if not groups.rows.num_rows:
        return Recomputed(0, {}, 0)
    with _computed(table, silver, groups) as rows:
        return recompute(rows, groups.rows, target, batch, count)


def groups_touched(table: GoldTable, silver: Revisions, changed: DataFrame) -> Groups:
    """The groups that a batch touches, from the result of the inputs' `groups`; may be empty."""
    touched = changed.distinct().toArrow()
    groups = touched if table.widen is None else table.widen(silver, touched)
    distinct = sql.table(f"SELECT DISTINCT {sql.listed(table.group)} FROM groups", groups=groups)
    return Groups(changed.sparkSession, distinct)


@contextmanager
def _computed(table: GoldTable, silver: Revisions, groups: Groups) -> Iterator[pa.Table]:
    """All rows of the groups. If there are many groups, they are computed part by part and kept in a file, so that
    memory holds one part at a time."""
    if groups.rows.num_rows <= MOST_GROUPS_AT_ONCE:
        yield table.recompute(silver, groups).toArrow()
        return
    ordered = groups.rows.sort_by([(name, "ascending") for name in table.group])  # neighbours are in the same files
    parts = (ordered.slice(begin, MOST_GROUPS_AT_ONCE) for begin in range(0, len(ordered), MOST_GROUPS_AT_ONCE))
    with table_in_file(table.recompute(silver, Groups(groups.spark, part)).toArrow() for part in parts) as rows:
        yield rows


def write_static(table: StaticTable, driver: Driver) -> bool:
    """Write a static table if its content is not what the table was last written with; returns whether it did."""
    name = f"gold.{table.name}"
    driver.locks.acquire(name)
    return replace(table.build(driver.spark), driver.places.table(name))


def target_of(table: GoldTable, path: str, schema: StructType) -> GoldTarget:
    """Where a table's groups go."""
    return GoldTarget(table.name, path, table.keys, table.group, tuple(schema.names), table.expectations)
