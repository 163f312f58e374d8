"""Delete single rows from a table and insert others, by rewriting the files that hold them (copy on write)."""

from collections.abc import Sequence

import pyarrow as pa
from deltalake import Transaction

from sinks import sql
from sinks.arrow_commit import replace_files
from sinks.snapshot import FILE, Snapshot


def replace_rows(
    snapshot: Snapshot,
    *,
    gone: pa.Table,
    keys: Sequence[str],
    rows: pa.Table | pa.RecordBatchReader | None = None,
    once: Transaction | None = None,
) -> None:
    """Delete and insert rows in one commit; there is no commit if there is nothing to do.

    Args:
        snapshot: the version whose files `gone` names.
        gone: keys of the rows to delete, and `FILE` of those that are in the table; null equals null.
        rows: the rows to insert, with the table's columns; none by default. Evaluated once.
        once: the transaction id of the commit. The caller has checked it with `is_known`.
    """
    held_in = {name for name in gone[FILE].to_pylist() if name is not None}
    come = snapshot.arrow_schema.empty_table() if rows is None else rows
    if not held_in:
        replace_files(snapshot, (), come.to_reader() if isinstance(come, pa.Table) else come, once=once)
        return
    files = snapshot.named(held_in)
    columns = sql.listed(snapshot.arrow_schema.names)
    with sql.stream(
        f"""
        SELECT {columns} FROM held ANTI JOIN gone ON {sql.same(keys, "held", "gone")}
        UNION ALL BY NAME SELECT {sql.listed(come.schema.names)} FROM come
        """,
        held=snapshot.scan(snapshot.arrow_schema.names, files=files),
        gone=gone,
        come=come,
    ) as written:
        replace_files(snapshot, files, written, once=once)
