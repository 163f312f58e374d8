"""Silver as known at any instant, from revisions. Not by Delta time travel, because VACUUM removes its files."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from schemas.contracts import load
from sinks import tables
from sinks.arrow_frames import frame_of, frame_of_tuples
from sinks.snapshot import Filter, Snapshot
from sinks.target import IS_WITHDRAWN
from stream_jobs.columns import silver_schema
from stream_jobs.places import Places

ASSUMED = "assumed_lag"
"""The basis of a publication clock that the producer inferred and did not measure."""


VINTAGE = "origin_at"
"""The column that tells apart what several instants knew."""


MOST_LOCAL_ROWS = 20_000
"""Up to so many rows of silver are read in this process and become part of the plan, because for few rows Spark's work
to list files, plan their scan and compile every bound costs most. More rows are read by Spark."""

Versions = tuple[int | None, ...]
"""Of some Delta tables; None for one that is not there."""


def local_frame(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """Rows of this process as a frame: a part of the plan, and one task.

    If all inputs of a plan are one task, the whole plan is: its steps exchange no data.
    """
    frame = frame_of(spark, rows)
    return frame.coalesce(1) if rows.num_rows <= MOST_LOCAL_ROWS else frame


class FrameCache:
    """Small frames computed from whole datasets. One stays until a table that it was computed from changes."""

    def __init__(self) -> None:
        self._cached: dict[str, tuple[tuple[Versions, Hashable], DataFrame]] = {}

    def get(self, name: str, versions: Versions, of: Hashable, build: Callable[[], DataFrame]) -> DataFrame:
        """The frame of this part of these versions of its tables; built if part or versions differ from last time.

        Its rows are part of the plan, so their computation is planned, compiled and run once.
        """
        cached = self._cached.get(name)
        if cached is not None and cached[0] == (versions, of):
            return cached[1]
        built = build()
        frame = local_frame(built.sparkSession, built.toArrow())
        self._cached[name] = ((versions, of), frame)
        return frame


@dataclass(frozen=True)
class Snapshots:
    """The revisions of every dataset, each at the version it had when it was first asked for."""

    places: Places
    _found: dict[str, Snapshot | None] = field(default_factory=dict)

    def of(self, dataset: str) -> Snapshot | None:
        """None for a dataset that was never polled and so has no table yet."""
        if dataset not in self._found:
            path = self.places.table(f"silver.{dataset}_revisions")
            self._found[dataset] = Snapshot.of(path) if tables.exists(path) else None
        return self._found[dataset]


@dataclass(frozen=True)
class Known:
    """What was known of every dataset at one instant; the accessor that gold tables are recomputed from.

    Attributes:
        at: versions known from later on do not exist; None stands for now.
        measured_only: leave out versions whose publication clock is assumed.
        cache: frames of a job's earlier batches.
    """

    spark: SparkSession
    snapshots: Snapshots
    at: datetime | None = None
    measured_only: bool = False
    cache: FrameCache = field(default_factory=FrameCache)

    vintage = ()
    """There is one instant only."""

    def newest(
        self,
        dataset: str,
        *,
        within: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        withdrawn: bool = False,
    ) -> DataFrame:
        """Per key the newest version: there is one per key and `known_from`."""
        known = _revisions(self.spark, self.snapshots, dataset, within, columns, measured_only=self.measured_only)
        if self.at is not None:
            known = known.where(F.col("known_from") <= F.lit(self.at))
        return newest_of(known, dataset, withdrawn=withdrawn)

    def versions(self, dataset: str, *, columns: Sequence[str]) -> DataFrame:
        """As `Revisions.versions`."""
        return _revisions(self.spark, self.snapshots, dataset, (), columns, measured_only=self.measured_only)

    def cached(
        self, name: str, datasets: Sequence[str], build: Callable[[], DataFrame], *, of: Hashable = None
    ) -> DataFrame:
        """As `Revisions.cached`."""
        snapshots = [self.snapshots.of(each) for each in datasets]
        return self.cache.get(name, tuple(None if each is None else each.version for each in snapshots), of, build)


@dataclass(frozen=True)
class KnownAtEach:
    """What was known at each of several instants, in one pass over the revisions: every frame has `origin_at`.

    Attributes:
        origins: with time zones.
    """

    spark: SparkSession
    snapshots: Snapshots
    origins: tuple[datetime, ...]
    measured_only: bool = False

    vintage = (VINTAGE,)

    def newest(
        self,
        dataset: str,
        *,
        within: Sequence[Filter] = (),
        columns: Sequence[str] | None = None,
        withdrawn: bool = False,
    ) -> DataFrame:
        """Per origin and key the newest version that was known at the origin."""
        known = _revisions(self.spark, self.snapshots, dataset, within, columns, measured_only=self.measured_only)
        known = known.where(F.col("known_from") <= F.lit(max(self.origins)))
        origins = F.array(*(F.lit(origin) for origin in sorted(set(self.origins))))
        seen_by = known.withColumn(VINTAGE, F.explode(F.filter(origins, lambda origin: origin >= F.col("known_from"))))
        return newest_of(seen_by, dataset, vintage=self.vintage, withdrawn=withdrawn)

    def versions(self, dataset: str, *, columns: Sequence[str]) -> DataFrame:
        """As `Revisions.versions`."""
        return _revisions(self.spark, self.snapshots, dataset, (), columns, measured_only=self.measured_only)

    def cached(
        self, name: str, datasets: Sequence[str], build: Callable[[], DataFrame], *, of: Hashable = None
    ) -> DataFrame:
        """As `Revisions.cached`: there is no next batch to keep anything for."""
        return build()


def _revisions(
    spark: SparkSession,
    snapshots: Snapshots,
    dataset: str,
    within: Sequence[Filter],
    columns: Sequence[str] | None,
    *,
    measured_only: bool,
) -> DataFrame:
    place = ("known_from", "published_at_basis", "kafka_offset", IS_WITHDRAWN)
    snapshot = snapshots.of(dataset)
    if snapshot is None:
        revisions = frame_of_tuples(spark, [], silver_schema(load(dataset), revisions=True))
    else:
        names = snapshot.schema.names if columns is None else [*load(dataset).key, *columns, *place]
        few = snapshot.few(list(dict.fromkeys(names)), within, most=MOST_LOCAL_ROWS)
        revisions = snapshot.read(spark, within) if few is None else local_frame(spark, few)
    # Null in rows of a release that knew no withdrawals.
    revisions = revisions.withColumn(IS_WITHDRAWN, F.coalesce(IS_WITHDRAWN, F.lit(False)))
    if measured_only:
        revisions = revisions.where(F.col("published_at_basis") != ASSUMED)
    if columns is not None:
        revisions = revisions.select(*load(dataset).key, *columns, *place)
    return revisions


def newest_of(
    revisions: DataFrame, dataset: str, *, vintage: tuple[str, ...] = (), withdrawn: bool = False
) -> DataFrame:
    """The newest version of every key, as `Revisions.newest`, of some revisions and of the columns they have."""
    keys = (*vintage, *load(dataset).key)
    columns = [name for name in revisions.columns if name not in keys]
    values = [F.col(name).isNotNull() for name in load(dataset).value_fields if name in columns]
    has_value = ~F.col(IS_WITHDRAWN) & reduce(or_, values, F.lit(not values))
    found = revisions.groupBy(*keys).agg(
        F.max_by(F.struct(*columns), F.struct("known_from", "kafka_offset")).alias("newest"),
        F.min(F.when(has_value, F.col("known_from"))).alias("first_known_from"),
    )
    rows = found.select(*keys, "newest.*", "first_known_from")
    return rows if withdrawn else rows.where(~F.col(IS_WITHDRAWN)).drop(IS_WITHDRAWN)


def as_of(
    spark: SparkSession, places: Places, dataset: str, instant: datetime, *, measured_only: bool = False
) -> DataFrame:
    """A dataset as it was known at an instant, one row per key.

    Args:
        instant: with its time zone; what became known at that very instant counts.

    Raises:
        ValueError: the instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone names no instant")
    return Known(spark, Snapshots(places), instant, measured_only).newest(dataset)
