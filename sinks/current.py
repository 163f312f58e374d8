"""The table of current rows: one row per key that is not withdrawn."""

from deltalake import Transaction
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from sinks.commit import is_known
from sinks.frames import fixed
from sinks.rewrite import rewrite
from sinks.snapshot import FILE, Snapshot, between
from sinks.target import IS_WITHDRAWN, Bounds, SilverTarget, same


def bring(
    newest: DataFrame, target: SilverTarget, *, within: Bounds, counts: Column, once: Transaction | None = None
) -> None:
    """Put in what current lacks, replace what counts as other, and take out what is withdrawn.

    Args:
        newest: at most one row per key: the columns of revisions.
        within: bounds of the pruning column, of all rows of `newest`.
        counts: whether a row `l` of `newest` takes the place of the row `r` of current that has its key.
        once: the transaction that this is; nothing happens where current knows it.
    """
    current = Snapshot.of(target.current)
    if once is not None and is_known(current.table, once):
        return
    held = current.read(newest.sparkSession, between(target.prune_by, *within))
    joined = newest.alias("l").join(held.alias("r"), same(target.keys, "l", "r"), "left")
    is_absent = F.col(f"r.{FILE}").isNull()
    changes = joined.where((is_absent & ~F.col(f"l.{IS_WITHDRAWN}")) | (~is_absent & counts)).select("l.*", f"r.{FILE}")
    with fixed(changes) as changes:
        found = changes.agg(F.collect_set(FILE), F.count_if(~F.col(IS_WITHDRAWN))).first()
        addresses, count = found if found else ([], 0)
        rows = changes.where(~F.col(IS_WITHDRAWN)).select(*target.current_columns)
        rewrite(current, addresses, changes, target.keys, rows=rows, count=count, once=once)
