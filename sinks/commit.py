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
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction
from pyspark.sql import DataFrame

from foundation.errors import UnsafeState
from sinks.checksum import write_checksum
from sinks.snapshot import Snapshot
from sinks.tables import holds

ROWS_PER_FILE = 100_000
"""A batch of up to so many rows is written as one file."""

BYTES_PER_FILE = 128 * 1024**2
"""Size at which the next file begins, if rows are rewritten or this process writes them."""

LONGEST_STATISTIC = 256
"""Characters of a text that is kept as a file's least or greatest value; longer values are not kept."""

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
    """Commit file actions. Args: marks: transaction ids that the table stores; None for none."""
    table.create_write_transaction(
        list(actions),
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=CommitProperties(app_transactions=[mark for mark in marks if mark is not None]),
    )
    write_checksum(table.table_uri.removeprefix("file://"))


def _written(rows: DataFrame, snapshot: Snapshot) -> Iterator[AddAction]:
    """Write rows as files below the table's folder; returns the log entry of each file with rows."""
    if not holds(snapshot.schema, rows.schema):
        raise UnsafeState(
            f"rows of {rows.schema.simpleString()} do not fit the table at {snapshot.path}",
            hint="restart the driver: it adds new columns of the contract to the table",
        )
    root = Path(snapshot.path)
    # Spark does not report which files it wrote, so it writes into a new folder, which VACUUM may remove.
    folder = root / uuid4().hex
    rows.write.options(**WRITING).partitionBy(*snapshot.partition_columns).parquet(str(folder))
    for written in sorted(folder.rglob("*.parquet")):
        footer = pq.read_metadata(written)
        if not footer.num_rows:
            continue
        statistics = statistics_of(footer, snapshot)
        if nulls := [name for name in snapshot.never_null if statistics["nullCount"].get(name)]:
            raise UnsafeState(f"{', '.join(nulls)} of the table at {snapshot.path} must not be null")
        name = written.relative_to(folder)
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        written.rename(file)
        yield in_place(snapshot, file, partition_of(name), statistics, data_change=True)
    shutil.rmtree(folder)


def in_place(
    snapshot: Snapshot, file: Path, partition: dict[str, str | None], statistics: dict[str, Any], *, data_change: bool
) -> AddAction:
    """The log entry of a new file in the table's folder."""
    return AddAction(
        path=quote(file.relative_to(snapshot.path).as_posix(), safe="/="),
        size=file.stat().st_size,
        partition_values=partition,
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


def statistics_of(footer: Any, snapshot: Snapshot) -> dict[str, Any]:
    """Rows, nulls, least and greatest values of a file, from its footer, in the form of Delta's log."""
    found: dict[str, Any] = {"numRecords": footer.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    places = {footer.schema.column(place).path: place for place in range(footer.num_columns)}
    for name in {*snapshot.with_statistics, *snapshot.never_null} & places.keys():
        groups = [footer.row_group(group).column(places[name]).statistics for group in range(footer.num_row_groups)]
        if any(each is None or not each.has_null_count for each in groups):
            continue
        found["nullCount"][name] = sum(each.null_count for each in groups)
        valued = [each for each in groups if each.null_count < each.num_values + each.null_count]
        if name not in snapshot.with_statistics or not valued or not all(each.has_min_max for each in valued):
            continue
        least, greatest = min(each.min for each in valued), max(each.max for each in valued)
        if isinstance(least, str) and max(len(least), len(greatest)) > LONGEST_STATISTIC:
            continue
        found["minValues"][name], found["maxValues"][name] = _log_value(least), _log_value(greatest)
    return found


def _log_value(value: Any) -> Any:
    """A value in the form of Delta's log."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _now() -> int:
    return time.time_ns() // 1_000_000
