"""One micro-batch of a dataset's records into its two silver tables, once, whatever the order they arrive in.

    batch ──► expectations ──► outcome of every row (sinks/versions.py) ──► fixed once
                 │                                     │
                 └─► quarantine ◄── conflicting ───────┤
                                                       ├─► 1. revisions   append every new version
                                                       └─► 2. current     merge, or append, each key's newest version

Revisions commit first, and current is computed from the batch, never from what revisions just absorbed: after a crash
between the two, revisions already hold everything, and a difference would be empty. Both writes are skipped when their
transaction id is known, so a batch may be repeated at any point.

A row that comes late, as a version older than what the dataset has seen, is judged over its key's whole timeline in
bronze (sinks/late.py). So both tables are what one batch over all of bronze gives, whatever came when.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from sinks import current, late, quarantine, tables
from sinks.commit import append
from sinks.expectations import broken
from sinks.frames import fixed
from sinks.history import History, Seen
from sinks.snapshot import FILE, Snapshot
from sinks.target import IS_WITHDRAWN, SilverTarget, bounds, matching
from sinks.transactions import Batch
from sinks.versions import OUTCOMES, STORED_COLUMNS, classify

__all__ = ["Applied", "SilverTarget", "apply_changes"]


@dataclass(frozen=True)
class Applied:
    """What became of a batch.

    Attributes:
        outcomes: rows per outcome, by the batch and what was stored before it.
        records: rows that were judged by expectations: all but withdrawals.
        broken: expectation → rows that broke it.
        flawed: rows that broke any.
        mended: keys that were taken from bronze, because a row of theirs came late.
    """

    outcomes: Mapping[str, int]
    records: int
    broken: Mapping[str, int]
    flawed: int
    mended: int


def apply_changes(records: DataFrame, target: SilverTarget, batch: Batch, history: History) -> Applied:
    """Bring a batch into revisions and current; the same batch again changes nothing.

    Args:
        records: the target's columns and `key` (text), `topic`, `topic_id`. Any order, repetitions and late versions
            welcome.
        history: of the dataset; it holds the batch already.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    # What is judged is what is written, whatever others write meanwhile; and the batch is read once.
    with fixed(records) as batch_rows, fixed(_classified(batch_rows, target)) as classified:
        found = _summary(classified, target)
        _stop_on_failure(found, target)
        keys = late.late_keys(classified, found, target, history)
        timely = classified if keys is None else matching(classified, keys, target.keys, "left_anti")
        _set_aside(classified, timely, found, target, batch)
        if keys is not None:
            late.mend(keys, target, history)
        _write(timely, found if keys is None else _summary(timely, target), target, batch)
        history.end(Seen(found["newest"], found["newest_withdrawn"]))
        return Applied(
            outcomes={outcome: int(found[outcome]) for outcome in OUTCOMES},
            records=int(found["records"]),
            broken={each.name: int(found[f"broken:{each.name}"]) for each in target.expectations},
            flawed=int(found["flawed"]),
            mended=0 if keys is None else keys.count(),
        )


def _classified(records: DataFrame, target: SilverTarget) -> DataFrame:
    """The batch with the outcome of every row, and the rules it breaks: a withdrawal has no values to break any."""
    none = F.array().cast("array<string>")
    judged = records.withColumns(
        {
            action: F.when(F.col(IS_WITHDRAWN), none).otherwise(broken(target.expectations, action))
            for action in ("warn", "quarantine", "fail")
        }
    ).withColumn("is_valid", F.size("quarantine") == 0)
    return classify(judged, _stored(judged, target), keys=target.keys)


def _stored(batch: DataFrame, target: SilverTarget) -> DataFrame | None:
    """Revisions of the batch's keys; None when there are no revisions at all, which saves reading them."""
    if not tables.may_hold_rows(target.revisions):
        return None
    columns = (*target.keys, *STORED_COLUMNS)
    within = bounds(batch, target.prune_by)
    return target.stored(Snapshot.of(target.revisions), batch.select(*target.keys), columns, within).drop(FILE)


def _summary(classified: DataFrame, target: SilverTarget) -> Row:
    """Everything that has to be known before writing, in the one job that also fixes the frame."""
    counts = [F.count_if(F.col("outcome") == outcome).alias(outcome) for outcome in OUTCOMES]
    every = F.concat("warn", "quarantine", "fail")
    broken_by = [
        F.count_if(F.array_contains(every, each.name)).alias(f"broken:{each.name}") for each in target.expectations
    ]
    failures = F.first(F.when(F.size("fail") > 0, F.struct("fail", "topic", "kafka_partition", "kafka_offset")), True)
    pruned = F.when(F.col("is_newest"), F.col(target.prune_by))
    clock, is_new = F.unix_micros("known_from"), F.col("outcome") == "new"
    row = classified.agg(
        *counts,
        *broken_by,
        F.count_if(~F.col(IS_WITHDRAWN)).alias("records"),
        F.count_if(F.size(every) > 0).alias("flawed"),
        failures.alias("failure"),
        F.bool_or(F.col("is_newest") & ~F.col("is_first_of_key")).alias("is_known_key"),
        F.min(pruned).alias("from"),
        F.max(pruned).alias("to"),
        F.min(F.when(is_new & ~F.col("is_first_of_key"), clock)).alias("known_least"),
        F.min(F.when(is_new & F.col("is_first_of_key"), clock)).alias("unknown_least"),
        F.bool_or("is_disturbed").alias("is_disturbed"),
        F.max(clock).alias("newest"),
        F.max(F.when(F.col(IS_WITHDRAWN), clock)).alias("newest_withdrawn"),
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


def _set_aside(classified: DataFrame, timely: DataFrame, found: Row, target: SilverTarget, batch: Batch) -> None:
    """Quarantine what broke a rule, and what conflicts; where a key came late, bronze says what conflicts."""
    if not found["quarantined"] and not found["conflicting"]:
        return
    conflicting = timely.where("outcome = 'conflicting'").withColumn("rules", F.array(F.lit(quarantine.CONFLICT)))
    flawed = classified.where("outcome = 'quarantined'").withColumn("rules", F.col("quarantine"))
    rows = quarantine.entries(flawed.unionByName(conflicting), target.current_columns, F.col("rules"))
    failpoint("before_quarantine")
    quarantine.add(rows, target.quarantine, dataset=target.dataset, once=batch.once(quarantine.NAME))
    failpoint("after_quarantine")


def _write(timely: DataFrame, found: Row, target: SilverTarget, batch: Batch) -> None:
    """Revisions, then current."""
    if found["new"]:
        failpoint("before_revisions")
        versions = timely.where(F.col("outcome") == "new").select(*target.columns)
        append(versions, target.revisions, rows=found["new"], once=batch.once(f"{target.dataset}_revisions"))
    if found["new"] or found["stored"]:
        failpoint("after_revisions")
        if found["from"] is None:
            return  # read again, and revisions hold newer ones
        newest, once = timely.where("is_newest").select(*target.columns), batch.once(target.dataset)
        if found["is_known_key"]:
            # A row of current that is as new or newer stays.
            is_newer = F.struct("l.known_from", "l.kafka_offset") > F.struct("r.known_from", "r.kafka_offset")
            current.bring(newest, target, within=(found["from"], found["to"]), counts=is_newer, once=once)
        else:
            # Current never holds a key before revisions do, so none of these can be there: half the price.
            newest = newest.where(~F.col(IS_WITHDRAWN)).select(*target.current_columns)
            append(newest, target.current, rows=found["new"], once=once)
        failpoint("after_current")
