"""How rows that this process holds reach a Delta table: written here, committed as `sinks/commit.py` commits.

A batch of some thousand rows costs milliseconds this way. Spark, which parts its work into tasks, is for what is large.
"""

from collections.abc import Collection

import pyarrow as pa
from deltalake import Transaction

from sinks.commit import added, is_known, removed, transact
from sinks.rows_to_files import Form, written
from sinks.snapshot import Snapshot


def append(rows: pa.Table, path: str, *, once: Transaction | None = None) -> None:
    """Add rows to a table; none are no commit.

    Args:
        rows: columns of the table; one that they lack is null. Of a table in partitions, all in one.
        once: the transaction that this is; nothing happens where the table knows it.

    Raises:
        UnsafeState: the rows do not fit the table's columns.
    """
    snapshot = Snapshot.of(path)
    if rows.num_rows and (once is None or not is_known(snapshot.table, once)):
        replace_files(snapshot, (), rows.to_reader(), once=once)


def replace_files(
    snapshot: Snapshot, files: Collection[str], rows: pa.RecordBatchReader, *, once: Transaction | None = None
) -> None:
    """Remove some files from a table and add rows, in one commit; without files and rows there is no commit.

    Args:
        files: of the snapshot, as it names them.
        rows: as of `append`.
        once: marks the commit. Whoever calls has asked `is_known`.
    """
    new = [added(file) for file in written(rows, Form.of(snapshot))]
    gone = [removed(name, data_change=True) for name in files]
    if new or gone:
        transact(snapshot.table, [*gone, *new], once)
