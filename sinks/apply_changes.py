"""One micro-batch of a dataset's records into its two silver tables, once, whatever the order they arrive in.

    batch ──► expectations ──► fate of every row (sinks/versions.py) ──► cached once
                 │                                     │
                 └─► quarantine ◄── conflicting ───────┤
                                                       ├─► 1. revisions   append every new version
                                                       └─► 2. current     merge, or append, each key's newest version

Revisions commit first, and current is computed from the batch, never from what revisions just absorbed: after a crash
between the two, revisions already hold everything, and a difference would be empty. Both writes are skipped when their
transaction id is known, so a batch may be repeated at any point.

A late version is put where it belongs in time. If it lands before a stored version with equal values, that one stays,
redundant; if it lands between a version and a repetition of it that was dropped as unchanged, or at that repetition's
very clock, the repetition is not brought back. Readers that compare histories collapse the first; a full re-read of
bronze mends the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812
from pyspark.storagelevel import StorageLevel

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import quarantine, tables
from sinks.append import append
from sinks.expectations import Expectation, broken
from sinks.transactions import Batch, transaction
from sinks.versions import FATES, STORED_COLUMNS, classify

ROWS_PER_FILE = 100_000
"""A batch up to here is written as one file."""


@dataclass(frozen=True)
class SilverTarget:
    """Where a dataset's changes go, and how they are told apart.

    Attributes:
        keys: natural key; nulls are equal to nulls.
        columns: all columns of both tables, in order.
        prune_by: the key column whose literal bounds limit what a batch reads of the tables.
        revisions, current, quarantine: paths of the tables.
    """

    dataset: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    prune_by: str
    expectations: tuple[Expectation, ...]
    revisions: str
    current: str
    quarantine: str


@dataclass(frozen=True)
class Applied:
    """What became of a batch.

    Attributes:
        fates: rows per fate.
        broken: expectation → rows that broke it.
        flawed: rows that broke any.
    """

    fates: Mapping[str, int]
    broken: Mapping[str, int]
    flawed: int

    @property
    def rows(self) -> int:
        """Of the batch."""
        return sum(self.fates.values())


def apply_changes(records: DataFrame, target: SilverTarget, batch: Batch) -> Applied:
    """Bring a batch into revisions and current; the same batch again changes nothing.

    Args:
        records: the target's columns and `key` (text), `topic`. Any order, repetitions and late versions welcome.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    # Read once: what follows looks at the batch some five times.
    records = records.persist(StorageLevel.MEMORY_AND_DISK)
    classified = _classified(records, target).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        found = _summary(classified, target)
        _stop_on_failure(found, target)
        fates = {fate: int(found[fate] or 0) for fate in FATES}

        if fates["quarantined"] or fates["conflicting"]:
            set_aside = _set_aside(classified, target)
            quarantine.write(set_aside, target.quarantine, dataset=target.dataset, batch=batch)
        if fates["new"]:
            versions = _packed(classified.where(F.col("fate") == "new").select(*target.columns), fates["new"])
            append(versions, target.revisions, batch=batch, table=f"{target.dataset}_revisions")
        if fates["new"] or fates["stored"]:
            failpoint("after_revisions")
            newest = classified.where("is_newest").select(*target.columns)
            if found["is_known_key"]:
                _merge_current(newest, target, batch, within=(found["from"], found["to"]))
            else:
                # Current never holds a key before revisions do, so none of these can be there: half the price.
                newest = _packed(newest, fates["new"])
                append(newest, target.current, batch=batch, table=target.dataset)
        counts = {each.name: int(found[f"broken:{each.name}"] or 0) for each in target.expectations}
        return Applied(fates, counts, int(found["flawed"] or 0))
    finally:
        classified.unpersist()
        records.unpersist()


def _classified(records: DataFrame, target: SilverTarget) -> DataFrame:
    """The batch with the fate of every row, and the rules that it breaks."""
    judged = records.withColumns(
        {action: broken(target.expectations, action) for action in ("warn", "quarantine", "fail")}
    ).withColumn("is_valid", F.size("quarantine") == 0)
    return classify(judged, _stored(judged, target), keys=target.keys)


def _stored(batch: DataFrame, target: SilverTarget) -> DataFrame | None:
    """Revisions of the batch's keys; None when there are no revisions at all, which saves reading them."""
    if not tables.may_hold_rows(target.revisions):
        return None
    least, greatest = _bounds(batch, target.prune_by)
    stored = (
        tables.read(batch.sparkSession, target.revisions)
        .where(F.col(target.prune_by).between(F.lit(least), F.lit(greatest)))
        .select(*target.keys, *STORED_COLUMNS)
    )
    keys = batch.select(*target.keys)
    return stored.join(keys, _same_key(stored, keys, target.keys), "left_semi")


def _summary(classified: DataFrame, target: SilverTarget) -> Row:
    """Everything that has to be known before writing, in the one job that also fills the cache."""
    counts = [F.count_if(F.col("fate") == fate).alias(fate) for fate in FATES]
    every = F.concat("warn", "quarantine", "fail")
    broken_by = [
        F.count_if(F.array_contains(every, each.name)).alias(f"broken:{each.name}") for each in target.expectations
    ]
    failures = F.first(F.when(F.size("fail") > 0, F.struct("fail", "topic", "kafka_partition", "kafka_offset")), True)
    pruned = F.when(F.col("is_newest"), F.col(target.prune_by))
    row = classified.agg(
        *counts,
        *broken_by,
        F.count_if(F.size(every) > 0).alias("flawed"),
        failures.alias("failure"),
        F.bool_or(F.col("is_newest") & ~F.col("is_first_of_key")).alias("is_known_key"),
        F.min(pruned).alias("from"),
        F.max(pruned).alias("to"),
    ).first()
    if row is None:
        raise ValueError("an aggregate without grouping always has a row")
    return row


def _stop_on_failure(found: Row, target: SilverTarget) -> None:
    if found["failure"] is None:
        return
    rules, topic, partition, offset = found["failure"]
    raise UnsafeState(
        f"{target.dataset}: the record at {topic}/{partition}/{offset} breaks {', '.join(rules)}, which must never"
        " happen; nothing of its batch was written to silver",
        hint=f'correnteza query "select * from bronze.{target.dataset} where offset = {offset}"',
    )


def _set_aside(classified: DataFrame, target: SilverTarget) -> DataFrame:
    """The quarantine rows of a batch."""
    conflicting = F.col("fate") == "conflicting"
    return classified.where(conflicting | (F.col("fate") == "quarantined")).select(
        "key",
        F.when(conflicting, F.array(F.lit("conflicting_version"))).otherwise(F.col("quarantine")).alias("rules"),
        F.to_json(F.struct(*target.columns)).alias("record"),
        "known_from",
        "topic",
        "kafka_partition",
        "kafka_offset",
        "chunk_id",
    )


def _packed(frame: DataFrame, rows: int) -> DataFrame:
    """One task and one file for a small batch: two cost a third more, now and at every later read."""
    return frame.coalesce(1) if rows <= ROWS_PER_FILE else frame


def _merge_current(newest: DataFrame, target: SilverTarget, batch: Batch, *, within: tuple[Any, Any]) -> None:
    """Replace what is older. A row that is as new or newer stays: late versions never overwrite."""
    spark = newest.sparkSession
    is_newer = F.struct("s.known_from", "s.kafka_offset") > F.struct("t.known_from", "t.kafka_offset")
    pruned = F.col(f"t.{target.prune_by}").between(F.lit(within[0]), F.lit(within[1]))
    same_key = reduce(Column.__and__, (F.col(f"t.{key}").eqNullSafe(F.col(f"s.{key}")) for key in target.keys))
    with transaction(spark, batch, target.dataset):
        (
            DeltaTable.forPath(spark, target.current)
            .alias("t")
            .merge(tables.padded(newest, target.current).alias("s"), pruned & same_key)
            .whenMatchedUpdateAll(condition=is_newer)
            .whenNotMatchedInsertAll()
            .execute()
        )


def _bounds(frame: DataFrame, column: str) -> tuple[Any, Any]:
    """Least and greatest value; (None, None) of an empty frame, which no row is between."""
    row = frame.agg(F.min(column), F.max(column)).first()
    return (row[0], row[1]) if row else (None, None)


def _same_key(left: DataFrame, right: DataFrame, keys: Sequence[str]) -> Column:
    return reduce(Column.__and__, (left[key].eqNullSafe(right[key]) for key in keys))
