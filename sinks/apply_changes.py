"""Write one micro-batch of a dataset's records into its two silver tables, exactly once and in any order of arrival.

    batch ──► expectations ──► outcome of every row (sinks/versions.py)
                 │                                     │
                 └─► quarantine ◄── conflicting ───────┤
                                                       ├─► 1. revisions   append every new version
                                                       └─► 2. current     merge, or append, each key's newest version

Revisions commit first, and current is computed from the batch, not from the rows that were new to revisions: after a
crash between the two writes revisions already hold everything, and a difference would be empty. Both writes are skipped
when their transaction id is known, so a batch may be repeated at any point.

A late row is a version with an older clock than the dataset has seen. For it all rows of its key are read from bronze
and evaluated again (sinks/late.py). So both tables always equal the result of one batch over all of bronze.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from foundation.quoting import quoted, text
from sinks import current, late, quarantine, sql, tables
from sinks.arrow_commit import append
from sinks.expectations import broken
from sinks.history import CLOSED_PLACE, History, Seen
from sinks.snapshot import FILE, Snapshot
from sinks.target import IS_WITHDRAWN, SilverTarget, bounds
from sinks.transactions import Batch
from sinks.versions import OUTCOMES, STORED_COLUMNS, classify

__all__ = ["Applied", "SilverTarget", "apply_changes"]


@dataclass(frozen=True)
class Applied:
    """The result of a batch.

    Attributes:
        outcomes: rows per outcome, judged by the batch and the rows stored before it.
        records: rows that were judged by expectations: all but withdrawals.
        broken: expectation → rows that broke it.
        flawed: rows that broke any.
        repaired: keys that were taken from bronze, because a row of theirs came late.
    """

    outcomes: Mapping[str, int]
    records: int
    broken: Mapping[str, int]
    flawed: int
    repaired: int


def apply_changes(records: pa.Table, target: SilverTarget, batch: Batch, history: History) -> Applied:
    """Write a batch into revisions and current; repeating the batch changes nothing.

    Args:
        records: the target's columns and `key` (text), `topic`, `topic_id`. Any order; repetitions and late versions
            are allowed.
        history: of the dataset; it holds the batch already.

    Raises:
        UnsafeState: a row breaks an expectation whose action is `fail`; nothing was written.
    """
    # The rows that are judged are the rows that are written: Arrow tables do not change when others write.
    classified = _classified(records, target, history.closed())
    found = _summary(classified, target)
    _stop_on_failure(found, target)
    keys = late.late_keys(classified, found, target, history)
    timely = classified if keys is None else sql.without(classified, keys, target.keys)
    _quarantine(classified, timely, target, batch)
    if keys is not None:
        late.repair(keys, target, history)
    _write(timely, target, batch)
    history.end(Seen(found["newest"], found["newest_withdrawn"]))
    return Applied(
        outcomes={outcome: found[outcome] for outcome in OUTCOMES},
        records=found["records"],
        broken={each.name: found[f"broken:{each.name}"] for each in target.expectations},
        flawed=found["flawed"],
        repaired=0 if keys is None else keys.num_rows,
    )


def _classified(records: pa.Table, target: SilverTarget, closed: pa.Table) -> pa.Table:
    """The batch with the outcome of every row, and the rules it breaks: a withdrawal has no values to break any.

    A row whose dead letter is closed keeps the rules that it broke then, even if the rules are different now.
    """
    lists = ", ".join(
        f"CASE WHEN {IS_WITHDRAWN} THEN [] WHEN closed IS NOT NULL THEN {'closed' if action == 'quarantine' else '[]'}"
        f' ELSE {broken(target.expectations, action)} END AS "{action}"'
        for action in ("warn", "quarantine", "fail")
    )
    judged = sql.table(
        f"""
        SELECT * EXCLUDE (closed), "quarantine" = [] AS is_valid FROM (SELECT *, {lists} FROM (
            SELECT r.*, c.rules AS closed FROM records r LEFT JOIN closed c
            ON NOT r.{IS_WITHDRAWN} AND {sql.same(CLOSED_PLACE, "r", "c")}))
        """,
        records=records,
        closed=closed,
    )
    return classify(judged, _stored(judged, target), keys=target.keys, last_counts=target.last_counts)


def _stored(batch: pa.Table, target: SilverTarget) -> pa.Table | None:
    """Revisions of the batch's keys; None when there are no revisions at all, which saves reading them."""
    if not tables.may_hold_rows(target.revisions):
        return None
    columns = (*target.keys, *STORED_COLUMNS)
    keys = batch.select(target.keys)
    return target.stored(Snapshot.of(target.revisions), keys, columns, bounds(keys, target.prune_by)).drop_columns(FILE)


def _summary(classified: pa.Table, target: SilverTarget) -> dict[str, Any]:
    """The facts that are needed before writing."""
    every = 'list_concat("warn", "quarantine", "fail")'
    counts = {outcome: f"outcome = {text(outcome)}" for outcome in OUTCOMES}
    counts |= {f"broken:{each.name}": f"list_contains({every}, {text(each.name)})" for each in target.expectations}
    counts |= {"records": f"NOT {IS_WITHDRAWN}", "flawed": f"len({every}) > 0"}
    # DuckDB's count_if gives a HUGEINT, which comes as a decimal.
    counted = [f"count(*) FILTER ({which}) AS {quoted(name)}" for name, which in counts.items()]
    failure = (
        'struct_pack(rules := "fail", topic := topic, kafka_partition := kafka_partition, kafka_offset := kafka_offset)'
    )
    return sql.row(
        f"""
        SELECT {", ".join(counted)},
            first({failure}) FILTER (len("fail") > 0) AS failure,
            min(epoch_us(known_from)) FILTER (outcome = 'new' AND NOT is_first_of_key) AS known_least,
            min(epoch_us(known_from)) FILTER (outcome = 'new' AND is_first_of_key) AS unknown_least,
            coalesce(bool_or(is_disturbed), false) AS is_disturbed,
            max(epoch_us(known_from)) AS newest,
            max(epoch_us(known_from)) FILTER ({IS_WITHDRAWN}) AS newest_withdrawn
        FROM classified
        """,
        classified=classified,
    )


def _stop_on_failure(found: dict[str, Any], target: SilverTarget) -> None:
    if (failure := found["failure"]) is None:
        return
    place = f"{failure['topic']}/{failure['kafka_partition']}/{failure['kafka_offset']}"
    raise UnsafeState(
        f"{target.dataset}: the record at {place} breaks {', '.join(failure['rules'])}, which must never"
        " happen; nothing of its batch was written to silver",
        hint=f'correnteza query "select * from bronze.{target.dataset} where offset = {failure["kafka_offset"]}"',
    )


def _quarantine(classified: pa.Table, timely: pa.Table, target: SilverTarget, batch: Batch) -> None:
    """Quarantine rows that broke a rule or conflict; for late keys the conflicts are found from bronze."""
    flawed = sql.table(
        """SELECT *, "quarantine" AS rules FROM classified WHERE outcome = 'quarantined'""", classified=classified
    )
    conflicting = quarantine.conflicting(timely)
    if not flawed.num_rows and not conflicting.num_rows:
        return
    rows = pa.concat_tables([quarantine.entries(each, target.current_columns) for each in (flawed, conflicting)])
    failpoint("before_quarantine")
    quarantine.add(rows, target.quarantine, dataset=target.dataset, once=batch.once(quarantine.NAME))
    failpoint("after_quarantine")


def _write(timely: pa.Table, target: SilverTarget, batch: Batch) -> None:
    """Revisions, then current."""
    new = sql.table(f"SELECT {sql.listed(target.columns)} FROM timely WHERE outcome = 'new'", timely=timely)
    if new.num_rows:
        failpoint("before_revisions")
        append(new, target.revisions, once=batch.once(f"{target.dataset}_revisions"))
    # Includes the rows that an earlier attempt at this batch has stored, not only those new to revisions.
    newest = sql.table(
        f"SELECT {sql.listed(target.columns)}, is_first_of_key FROM timely WHERE is_newest", timely=timely
    )
    if not new.num_rows and not newest.num_rows:
        return
    failpoint("after_revisions")
    if not newest.num_rows:
        return  # read again, and revisions hold newer ones
    once = batch.once(target.dataset)
    if not pc.all(newest["is_first_of_key"]).as_py():
        within = bounds(newest, target.prune_by)
        rows = newest.drop_columns("is_first_of_key")
        current.update(rows, target, within=within, counts=current.IS_NEWER, once=once)
    else:
        # Current never holds a key before revisions do, so none of these can be there.
        rows = f"SELECT {sql.listed(target.current_columns)} FROM newest WHERE NOT {IS_WITHDRAWN}"
        append(sql.table(rows, newest=newest), target.current, once=once)
    failpoint("after_current")
