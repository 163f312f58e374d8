"""The table of current rows: one row per key that is not withdrawn."""

import pyarrow as pa
from deltalake import Transaction

from sinks import sql
from sinks.commit import is_known
from sinks.replace_rows import replace_rows
from sinks.snapshot import FILE, Snapshot, between
from sinks.target import IS_WITHDRAWN, Bounds, SilverTarget

PLACE = ("known_from", "kafka_partition", "kafka_offset")
"""The columns that distinguish one row of current from another."""

IS_NEWER = "(l.known_from, l.kafka_offset) > (r.known_from, r.kafka_offset)"
"""Only a newer row replaces a row of current."""

DIFFERS = " OR ".join((f"l.{IS_WITHDRAWN}", *(f"l.{name} IS DISTINCT FROM r.{name}" for name in PLACE)))
"""A row of current is replaced by a different one, and removed by a withdrawal."""


def update(
    newest: pa.Table, target: SilverTarget, *, within: Bounds, counts: str, once: Transaction | None = None
) -> None:
    """Insert rows that current lacks, replace rows that differ, and delete rows whose key is withdrawn.

    Args:
        newest: at most one row per key: the columns of revisions.
        within: bounds of the pruning column, of all rows of `newest`.
        counts: SQL: whether a row `l` of `newest` takes the place of the row `r` of current that has its key.
        once: the transaction id of the commit; nothing happens if current has it already.
    """
    current = Snapshot.of(target.current)
    if once is not None and is_known(current.table, once):
        return
    changes = sql.table(
        f"""
        SELECT l.*, r.{FILE} FROM newest l LEFT JOIN held r ON {sql.same(target.keys, "l", "r")}
        WHERE CASE WHEN r.{FILE} IS NULL THEN NOT l.{IS_WITHDRAWN} ELSE {counts} END
        """,
        newest=newest,
        held=current.scan((*target.keys, *PLACE), between(target.prune_by, *within)),
    )
    rows = sql.table(
        f"SELECT {sql.listed(target.current_columns)} FROM changes WHERE NOT {IS_WITHDRAWN}", changes=changes
    )
    replace_rows(current, gone=changes, keys=target.keys, rows=rows, once=once)
