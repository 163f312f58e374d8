"""Rows that come late: their keys are taken whole from bronze, folded anew, and silver is brought to the outcome.

Repetitions are not stored, so revisions alone cannot say where a late row belongs: its predecessor may have been
confirmed after it, a row that was dropped may stand at its very clock, or a withdrawal may have found nothing yet.
A row whose clock is after all that the dataset had seen cannot be late, which spares nearly every batch the question.

    late keys ──► all their rows in bronze ──► classify ──► what revisions, quarantine and current should hold
                                                              │ less what they do hold
                                       1. quarantine   conflicts in, rows that conflict no more out
                                       2. revisions    delete what is no version any more
                                       3. revisions    append what is missing
                                       4. current      the newest version, or nothing

Each step writes the difference to what stands, so a repetition after a crash finds what is left to do, and nothing when
all is done; transaction ids would skip what a second attempt, which may see more of bronze, has to add. Gold's streams
skip commits that delete (`skipChangeCommits`), so deletes and appends are separate commits, and a key that loses a
version has one appended after it: if none is missing, its newest is deleted too, and appended again.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from foundation.failpoints import failpoint
from sinks import current, quarantine
from sinks.commit import append
from sinks.expectations import broken
from sinks.frames import fixed
from sinks.history import History
from sinks.rewrite import addresses, rewrite
from sinks.snapshot import Snapshot
from sinks.target import IS_WITHDRAWN, Bounds, SilverTarget, bounds, matching
from sinks.versions import IDENTITY, classify


def late_keys(classified: DataFrame, found: Any, target: SilverTarget, history: History) -> DataFrame | None:
    """The keys of a batch that only bronze can judge, fixed; None when there are none.

    Args:
        found: of the batch: `known_least` and `unknown_least`, the least clocks of new versions of keys that revisions
            hold and do not hold; `is_disturbed`, whether a stored version would be none any more.
    """
    valid = classified.where("is_valid")
    clock = F.unix_micros("known_from")
    if history.was_mending:
        # What was written of it may have changed what its rows look like.
        return _fixed(valid, target.keys)
    parts = [valid.where("is_disturbed")] if found["is_disturbed"] else []
    if found["known_least"] is not None or found["unknown_least"] is not None:
        seen = history.seen()
        versions = valid.where(F.col("outcome") == "new")
        if _is_late(found["known_least"], seen.newest):
            parts.append(versions.where(~F.col("is_first_of_key") & (clock <= F.lit(seen.newest))))
        if _is_late(found["unknown_least"], seen.withdrawn):
            early = versions.where(F.col("is_first_of_key") & (clock <= F.lit(seen.withdrawn)))
            withdrawn = history.withdrawn_keys()
            parts.append(matching(early, F.broadcast(withdrawn), target.keys, "left_semi"))
    if not parts:
        return None
    return _fixed(reduce(DataFrame.unionByName, parts), target.keys)


def _is_late(least: int | None, bound: int | None) -> bool:
    return least is not None and bound is not None and least <= bound


def _fixed(rows: DataFrame, keys: Sequence[str]) -> DataFrame | None:
    # Computed anew once silver is written, these keys would be late no more. Few, so they are freed with the frame.
    found = rows.select(*keys).distinct().localCheckpoint()
    return None if found.isEmpty() else found


def mend(keys: DataFrame, target: SilverTarget, history: History) -> None:
    """Bring revisions, quarantine and current to what bronze says of some keys; twice is the same as once."""
    history.begin_mending()
    within = bounds(keys, target.prune_by)
    revisions = Snapshot.of(target.revisions)
    with fixed(target.stored(revisions, keys, target.columns, within)) as stored:
        timeline = _judged(history.rows_of(keys, within), stored, target)
        with fixed(classify(timeline, None, keys=target.keys)) as folded:
            _mend_quarantine(folded, target)
            versions = folded.where(F.col("outcome") == "new").select(*target.columns, "is_newest")
            _mend_revisions(versions, stored, target, revisions)
            failpoint("after_mended_revisions")
            _mend_current(versions.where("is_newest").drop("is_newest"), target, within)
            failpoint("after_mended_current")


def _judged(rows: DataFrame, stored: DataFrame, target: SilverTarget) -> DataFrame:
    """Rows with `is_valid`: each as it was judged when it came, which is for good until it is redriven.

    What stands in quarantine for a rule takes no part, whatever the rules are today; neither, of rows that silver has
    not read yet, what breaks them. A row that is a version has passed.
    """
    spark = rows.sparkSession
    held = Snapshot.of(target.quarantine).read(spark, [("dataset", "=", target.dataset)])
    by_rule = held.where(~F.array_contains("rules", quarantine.CONFLICT))
    by_rule = by_rule.select(*quarantine.RECORD, F.lit(True).alias("_aside")).distinct()
    passed = stored.where(~F.col("is_withdrawn")).select(
        F.col("kafka_partition"), F.col("kafka_offset"), F.col("chunk_id"), F.lit(True).alias("_passed")
    )
    breaks = (F.size(broken(target.expectations, action)) > 0 for action in ("quarantine", "fail"))
    is_sound = ~reduce(Column.__or__, breaks)
    is_valid = F.col("is_withdrawn") | (F.col("_aside").isNull() & (F.coalesce("_passed", F.lit(False)) | is_sound))
    return (
        rows.alias("r")
        .join(by_rule.alias("q"), quarantine.is_of("q", "r"), "left")
        .select("r.*", "q._aside")
        .join(passed.distinct(), ["kafka_partition", "kafka_offset", "chunk_id"], "left")
        .withColumn("is_valid", is_valid)
        .drop("_aside", "_passed")
    )


def _mend_quarantine(folded: DataFrame, target: SilverTarget) -> None:
    conflicts = folded.where(F.col("outcome") == "conflicting")
    rules = F.array(F.lit(quarantine.CONFLICT))
    entries = quarantine.entries(conflicts, target.current_columns, rules)
    quarantine.add(entries, target.quarantine, dataset=target.dataset)
    failpoint("after_mended_conflicts")
    at_peace = folded.where("is_valid AND NOT is_withdrawn AND outcome <> 'conflicting'").select(*quarantine.RECORD)
    quarantine.release(at_peace, target.quarantine, dataset=target.dataset)
    failpoint("after_mended_quarantine")


def _mend_revisions(versions: DataFrame, stored: DataFrame, target: SilverTarget, revisions: Snapshot) -> None:
    of_row = (*target.keys, "known_from", *IDENTITY)
    missing = matching(versions, stored, of_row, "left_anti")
    obsolete = matching(stored, versions, of_row, "left_anti")
    # Gold hears of what is appended, not of what is deleted.
    unheard = matching(obsolete, missing, target.keys, "left_anti")
    again = matching(versions.where("is_newest"), unheard, target.keys, "left_semi")
    columns = list(target.columns)
    appended = missing.select(columns).unionByName(again.select(columns))
    outdated = obsolete.select(*of_row).unionByName(again.select(*of_row))
    with fixed(matching(stored, outdated, of_row, "left_semi")) as deleted:
        found, additions = addresses(deleted), appended.count()
        if found:
            # A withdrawal has no hash; what is null in a release that knew none cannot tell the two apart here.
            place = ("known_from", "kafka_partition", "kafka_offset", "version_hash")
            rewrite(revisions, found, deleted, (*target.keys, *place))
            failpoint("after_deletes")
    if additions:
        append(appended, target.revisions, rows=additions)


def _mend_current(newest: DataFrame, target: SilverTarget, within: Bounds) -> None:
    place = ("known_from", "kafka_partition", "kafka_offset")
    differs = F.struct(*(f"l.{name}" for name in place)) != F.struct(*(f"r.{name}" for name in place))
    current.bring(newest, target, within=within, counts=F.col(f"l.{IS_WITHDRAWN}") | differs)
