"""Write rows of this process to a Delta table, and commit them as `sinks/commit.py` does.

A batch of some thousand rows costs milliseconds this way. Large data are written by Spark, which divides the work into
tasks.
"""

from collections.abc import Collection

import pyarrow as pa
from deltalake import Transaction

from sinks.commit import added, is_known, removed, transact
from sinks.rows_to_files import Form, written
from sinks.snapshot import Snapshot


def append(rows: pa.Table, path: str, *, once: Transaction | None = None) -> None:
    """Add rows to a table; without rows there is no commit.

    Args:
        rows: columns of the table; a missing column is null. In a partitioned table all rows belong to one partition.
        once: the transaction id of the commit; nothing happens if the table has it already.

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
        once: the transaction id of the commit. The caller has checked it with `is_known`.
    """
    new = [added(file) for file in written(rows, Form.of(snapshot))]
    gone = [removed(name, data_change=True) for name in files]
    if new or gone:
        transact(snapshot.table, [*gone, *new], once)
