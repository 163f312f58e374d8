"""Write a batch to a Delta table: Spark writes the files (or this process: sinks/arrow_commit.py), and delta-rs commits
them, exactly once.

Spark's own commit takes half a second, most of it to reconstruct the table's state for a transaction id; delta-rs takes
some milliseconds. Both write the same log. A file that no commit names is not part of the table: VACUUM removes the
files of a killed attempt.

A commit may carry the batch's transaction id, which the table remembers. delta-rs does not check the id, so the caller
first checks whether the table has it; the table's lock ensures that nobody else commits with this id meanwhile. If the
outcome of an attempt is unknown, the next attempt finds it out in the same way.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyspark.sql import DataFrame

from foundation.errors import TransientError, UnsafeState
from foundation.failpoints import failpoint
from sinks.checksum import write_checksum
from sinks.locks import fence_of
from sinks.rows_to_files import Form, Written, written
from sinks.snapshot import Snapshot
from sinks.statistics import statistics_of
from sinks.tables import holds
from sinks.tasks import map_batches
from storage import delta, files, parquet
from storage.errors import errors_of
from storage.lease import lost
from storage.location import is_remote

ROWS_PER_FILE = 100_000
"""A batch of up to so many rows is written as one file."""

FENCE = "correnteza.fence"
"""The transaction id that every commit to a table in a store carries; its version is the owner's token."""
OF_NOBODY = f"{FENCE}.{uuid4().hex}"
"""The id of a commit that has no other one, to a table without an owner: this process's own, so that processes do not
refuse each other's."""
MOST_ATTEMPTS = 20

WRITING = {
    # The commit makes files visible, so one rename is enough and no marker file is needed.
    "mapreduce.fileoutputcommitter.algorithm.version": "2",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def is_known(table: DeltaTable, once: Transaction) -> bool:
    """Whether the table has seen this version of the transaction's app id, or a later one."""
    seen = table.transaction_version(once.app_id)
    return seen is not None and seen >= once.version


def append(
    frame: DataFrame,
    path: str,
    *,
    rows: int | None = None,
    once: Transaction | None = None,
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """Add rows to a table.

    Args:
        frame: columns of the table; a missing column is null. Evaluated once, into a file per task.
        rows: an upper bound of their number, if known: few rows become one file.
        once: the transaction id of the commit; nothing happens if the table has it already.
        confirm: called once the files are written, before they are committed; when it raises, nothing is committed.

    Raises:
        UnsafeState: the rows do not fit the table's columns.
    """
    snapshot = Snapshot.of(path)
    if once is not None and is_known(snapshot.table, once):
        return
    # One task and one file for a small batch: two cost a third more, now and at every later read.
    is_small = rows is not None and rows <= ROWS_PER_FILE
    added = list(_written(frame.coalesce(1) if is_small else frame, snapshot))
    if added:
        confirm()
        transact(snapshot.table, added, once)


def transact(table: DeltaTable, actions: Sequence[AddAction | RemoveAction], *marks: Transaction | None) -> None:
    """Commit file actions, once. Args: marks: transaction ids that the table stores; None for none.

    In a store a commit may have been made although its answer is an error: the client repeats it, is refused by what it
    has written itself, and would commit the same files a second time under the next version. A transaction id keeps it
    from that, since Delta refuses two commits of one id; which of them was ours, its files tell. The id is the fence
    of the table's owner: so a commit is also refused to a driver that has lost the table since it looked.

    Raises:
        UnsafeState: the table is another driver's now.
        TransientError: others commit to the table without end, or the store does not answer.
    """
    path = table.table_uri.rstrip("/")
    given = [mark for mark in marks if mark is not None]
    if not is_remote(path):
        _commit(table, actions, given)
        return
    for _ in range(MOST_ATTEMPTS):
        fence = fence_of(path)
        fenced = given if fence is None else [*given, Transaction(FENCE, fence[2])]
        if fence is not None:
            fence[0].require(fence[1])
            failpoint("fence_checked")
        try:
            with errors_of(path):
                _commit(table, actions, fenced or [Transaction(OF_NOBODY, 0)])
            return
        except CommitFailedError:
            # Of the ids of this commit one was committed since the table was opened: by this very commit, by another
            # thread of this driver, or by another driver.
            table = delta.table(path)
            if _has_landed(table, actions):
                return
            if fence is not None and (table.transaction_version(FENCE) or 0) > fence[2]:
                raise lost(fence[1]) from None
            _require_unchanged(table, actions, given)
    raise TransientError(f"{path} is committed to again and again by others")


def _commit(table: DeltaTable, actions: Sequence[AddAction | RemoveAction], marks: Sequence[Transaction]) -> None:
    table.create_write_transaction(
        list(actions),
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=CommitProperties(app_transactions=list(marks)),
    )
    write_checksum(table.table_uri.removeprefix("file://"), table)


def _has_landed(table: DeltaTable, actions: Sequence[AddAction | RemoveAction]) -> bool:
    """Whether a table is as a commit leaves it: a file's name is given once."""
    there = _files(table)
    return all((unquote(action.path) in there) == isinstance(action, AddAction) for action in actions)


def _files(table: DeltaTable) -> set[str]:
    return {unquote(path) for path in table.get_add_actions()["path"].to_pylist()}


def _require_unchanged(
    table: DeltaTable, actions: Sequence[AddAction | RemoveAction], marks: Sequence[Transaction]
) -> None:
    """Raises: TransientError where a commit may not be made upon this version: its batch is repeated, and looks."""
    there = _files(table)
    gone = any(unquote(each.path) not in there for each in actions if isinstance(each, RemoveAction))
    if gone or any(is_known(table, mark) for mark in marks):
        raise TransientError(f"{table.table_uri} was changed while a commit to it was prepared")


def _written(rows: DataFrame, snapshot: Snapshot) -> Iterator[AddAction]:
    """Write rows as files below the table's folder; returns the log entry of each file with rows."""
    if not holds(snapshot.schema, rows.schema):
        raise UnsafeState(
            f"rows of {rows.schema.simpleString()} do not fit the table at {snapshot.path}",
            hint="restart the driver: it adds new columns of the contract to the table",
        )
    if is_remote(snapshot.path):
        yield from _written_by_tasks(rows, Form.of(snapshot))
        return
    root = Path(snapshot.path)
    # Spark does not report which files it wrote, so it writes into a new folder, which VACUUM may remove.
    folder = root / uuid4().hex
    rows.write.options(**WRITING).partitionBy(*snapshot.partition_columns).parquet(str(folder))
    for entry in sorted(files.walk(folder)):
        name = Path(entry.name)
        if name.suffix != ".parquet" or not (footer := parquet.footer(folder / name)).num_rows:
            continue
        statistics = statistics_of(footer, snapshot)
        if nulls := [each for each in snapshot.never_null if statistics["nullCount"].get(each)]:
            raise UnsafeState(f"{', '.join(nulls)} of the table at {snapshot.path} must not be null")
        files.move(folder / name, root / name)
        yield in_place(entry.name, entry.size, partition_of(name), statistics, data_change=True)
    files.remove_tree(folder)


def _written_by_tasks(rows: DataFrame, form: Form) -> Iterator[AddAction]:
    """Have each task write its rows to files of final names: Spark's own writer would rename them, and in a store that
    is a copy of each. What a task that fails has written is in no commit.
    """

    def write(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        form.connect()
        found, trouble = list[str](), list[str | None]()
        try:
            found = [json.dumps(file._asdict()) for file in written(batches, form)]
            trouble = [None] * len(found)
        except TransientError as error:  # its class would not come through
            found, trouble = [""], [str(error)]
        yield pa.RecordBatch.from_pydict(
            {"written": pa.array(found, pa.string()), "trouble": pa.array(trouble, pa.string())}
        )

    for row in map_batches(rows, write, "written string, trouble string").collect():
        if row.trouble is not None:
            raise TransientError(row.trouble, hint="correnteza doctor")
        yield added(Written(**json.loads(row.written)))


def added(file: Written) -> AddAction:
    """What the log needs to know of a file of new rows."""
    return in_place(file.name, file.size, file.partition, file.statistics, data_change=True)


def in_place(
    name: str, size: int, partition: Mapping[str, str | None], statistics: Mapping[str, Any], *, data_change: bool
) -> AddAction:
    """The log entry of a new file in the table's folder.

    Args: name: below that folder. size: bytes.
    """
    return AddAction(
        path=quote(name, safe="/="),
        size=size,
        partition_values=dict(partition),
        modification_time=_now(),
        data_change=data_change,
        stats=json.dumps(statistics),
    )


def removed(name: str, *, data_change: bool) -> RemoveAction:
    """The log entry of a file that is removed from the table. The file is named as by a snapshot."""
    return RemoveAction(quote(name, safe="/="), data_change, _now())


def partition_of(name: Path) -> dict[str, str | None]:
    """Column → value, from the folders in a file's path below its table: each folder's name has both."""
    parts = (folder.partition("=") for folder in name.parts[:-1])
    return {column: None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for column, _, value in parts}


def _now() -> int:
    return time.time_ns() // 1_000_000
