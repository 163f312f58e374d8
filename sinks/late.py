"""Rows that come late: all rows of their keys are read from bronze and evaluated again, and silver is changed to the
result.

Repetitions are not stored, so revisions alone do not show where a late row belongs: its predecessor may have been
confirmed after it, a row that was dropped may have the same clock, or a withdrawal may have come before there was
anything to withdraw. A row with a newer clock than all that the dataset has seen cannot be late, so nearly every batch
skips this.

    late keys ──► all their rows in bronze ──► classify ──► what revisions, quarantine and current should hold
                                                              │ less what they do hold
                                       1. quarantine   conflicts in, rows that conflict no more out
                                       2. revisions    delete what is no version any more
                                       3. revisions    append what is missing
                                       4. current      the newest version, or nothing

Each step writes the difference to the stored rows, so a repetition after a crash does only what is left to do.
Transaction ids are not used here: they would skip rows that a second attempt has to add, because it may see more of
bronze. Gold's streams skip commits that delete (`skipChangeCommits`), so deletes and appends are separate commits, and
a version is appended for every key that loses one: if no version is missing, the newest is deleted too and appended
again.
"""

from typing import Any

import pyarrow as pa

from foundation import quoting
from foundation.failpoints import failpoint
from sinks import current, quarantine, sql
from sinks.arrow_commit import append
from sinks.expectations import broken
from sinks.history import CLOSED_PLACE, History
from sinks.replace_rows import replace_rows
from sinks.snapshot import Snapshot
from sinks.target import IS_WITHDRAWN, Bounds, SilverTarget, bounds
from sinks.versions import IDENTITY, classify


def late_keys(classified: pa.Table, found: dict[str, Any], target: SilverTarget, history: History) -> pa.Table | None:
    """The keys of a batch that only bronze can judge; None when there are none.

    Args:
        found: of the batch: `known_least` and `unknown_least`, the least clocks of new versions of keys that revisions
            hold and do not hold; `is_disturbed`, whether a stored version would no longer be a version.
    """
    keys = sql.listed(target.keys)
    if history.was_repairing:
        # The unfinished attempt may have changed the outcomes of the rows.
        return _keys("FROM classified WHERE is_valid", target, classified=classified)
    parts = [f"SELECT {keys} FROM classified WHERE is_valid AND is_disturbed"] if found["is_disturbed"] else []
    given = {"classified": classified}
    if found["known_least"] is not None or found["unknown_least"] is not None:
        seen = history.seen()
        versions = f"SELECT {keys} FROM classified WHERE outcome = 'new'"
        if _is_late(found["known_least"], seen.newest):
            parts.append(f"{versions} AND NOT is_first_of_key AND epoch_us(known_from) <= {seen.newest}")
        if _is_late(found["unknown_least"], seen.withdrawn):
            given["withdrawn"] = history.withdrawn_keys()
            early = f"{versions} AND is_first_of_key AND epoch_us(known_from) <= {seen.withdrawn}"
            parts.append(f"FROM ({early}) e SEMI JOIN withdrawn w ON {sql.same(target.keys, 'e', 'w')}")
    return _keys(" UNION ".join(parts), target, **given) if parts else None


def _is_late(least: int | None, bound: int | None) -> bool:
    return least is not None and bound is not None and least <= bound


def _keys(query: str, target: SilverTarget, **given: pa.Table) -> pa.Table | None:
    found = sql.table(f"SELECT DISTINCT {sql.listed(target.keys)} FROM ({query})", **given)
    return found if found.num_rows else None


def repair(keys: pa.Table, target: SilverTarget, history: History) -> None:
    """Make revisions, quarantine and current equal to the result of all bronze rows of some keys. It may be
    repeated."""
    history.begin_repair()
    within = bounds(keys, target.prune_by)
    revisions = Snapshot.of(target.revisions)
    stored = target.stored(revisions, keys, target.columns, within)
    judged = _judged(history.rows_of(keys, within), stored, target, history.closed())
    folded = classify(judged, None, keys=target.keys, last_counts=target.last_counts)
    _repair_quarantine(folded, target)
    versions = sql.table(
        f"SELECT {sql.listed(target.columns)}, is_newest FROM folded WHERE outcome = 'new'", folded=folded
    )
    _repair_revisions(versions, stored, target, revisions)
    failpoint("after_repaired_revisions")
    _repair_current(versions, target, within)
    failpoint("after_repaired_current")


def _judged(rows: pa.Table, stored: pa.Table, target: SilverTarget, closed: pa.Table) -> pa.Table:
    """Rows with `is_valid`: each is judged as when it came; only a redrive changes that.

    Not valid are rows in quarantine for a rule, whatever the rules are today, rows whose dead letter is closed, and
    rows that silver has not read yet and that break a rule. A row that is stored as a version is valid.
    """
    is_sound = " AND ".join(f"{broken(target.expectations, action)} = []" for action in ("quarantine", "fail"))
    of_record = sql.same(("kafka_partition", "kafka_offset", "chunk_id"), "s", "r")
    return sql.table(
        f"""
        WITH numbered AS MATERIALIZED (
            SELECT *, row_number() OVER () AS _number FROM rows
        ), aside AS (
            SELECT r._number FROM numbered r JOIN held q ON {quarantine.is_of("q", "r")}
            WHERE NOT list_contains(q.rules, {quoting.text(quarantine.CONFLICT)})
            UNION ALL
            SELECT r._number FROM numbered r JOIN closed c ON {sql.same(CLOSED_PLACE, "r", "c")}
            WHERE NOT r.{IS_WITHDRAWN}
        ), passed AS (
            SELECT r._number FROM numbered r JOIN stored s ON {of_record} WHERE NOT s.{IS_WITHDRAWN}
        )
        SELECT * EXCLUDE (_number), {IS_WITHDRAWN} OR (
            _number NOT IN (FROM aside) AND (_number IN (FROM passed) OR ({is_sound}))
        ) AS is_valid
        FROM numbered
        """,
        rows=rows,
        stored=stored,
        held=quarantine.held(Snapshot.of(target.quarantine), target.dataset),
        closed=closed,
    )


def _repair_quarantine(folded: pa.Table, target: SilverTarget) -> None:
    entries = quarantine.entries(quarantine.conflicting(folded), target.current_columns)
    quarantine.add(entries, target.quarantine, dataset=target.dataset)
    failpoint("after_repaired_conflicts")
    at_peace = f"is_valid AND NOT {IS_WITHDRAWN} AND outcome <> 'conflicting'"
    records = sql.table(f"SELECT {sql.listed(quarantine.RECORD)} FROM folded WHERE {at_peace}", folded=folded)
    quarantine.release(records, target.quarantine, dataset=target.dataset)
    failpoint("after_repaired_quarantine")


def _repair_revisions(versions: pa.Table, stored: pa.Table, target: SilverTarget, revisions: Snapshot) -> None:
    of_row = (*target.keys, "known_from", *IDENTITY)
    missing = sql.without(versions, stored, of_row)
    obsolete = sql.without(stored, versions, of_row)
    # Gold reads what is appended, and skips what is deleted.
    unheard = sql.without(obsolete, missing, target.keys)
    newest = sql.table("SELECT * FROM versions WHERE is_newest", versions=versions)
    again = sql.only(newest, unheard, target.keys)
    outdated = pa.concat_tables([obsolete.select(of_row), again.select(of_row)])
    deleted = sql.only(stored, outdated, of_row)
    if deleted.num_rows:
        # A withdrawal has no hash. The column `is_withdrawn` cannot distinguish it, because it may be null in old rows.
        place = ("known_from", "kafka_partition", "kafka_offset", "version_hash")
        replace_rows(revisions, gone=deleted, keys=(*target.keys, *place))
        failpoint("after_deletes")
    append(pa.concat_tables([missing, again]).select(target.columns), target.revisions)


def _repair_current(versions: pa.Table, target: SilverTarget, within: Bounds) -> None:
    newest = sql.table(f"SELECT {sql.listed(target.columns)} FROM versions WHERE is_newest", versions=versions)
    current.update(newest, target, within=within, counts=current.DIFFERS)
