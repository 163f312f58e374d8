"""How a batch reaches a Delta table: Spark writes the files (or this process: sinks/arrow_commit.py), delta-rs commits
them, once.

Spark's own commit takes half a second, most of it to reconstruct the table's state for a transaction id; delta-rs takes
some milliseconds. Both write the same log. A file that no commit names is not part of the table: what a killed attempt
has left behind is VACUUM's.

A commit may carry the batch's transaction id, which the table remembers. delta-rs commits what it is given, so whether
the table knows the id already is asked first; the table's lock ensures that nobody else commits under it meanwhile.
An attempt whose outcome is unknown is settled the same way, by the next one.
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
from sinks.snapshot import Snapshot
from sinks.tables import holds

ROWS_PER_FILE = 100_000
"""A batch up to here is written as one file."""

BYTES_PER_FILE = 128 * 1024**2
"""Where rows are written again, or by this process, a file that has grown to this is followed by another."""

LONGEST_STATISTIC = 256
"""Characters of a text that is kept as a file's least or greatest value; with longer ones there is none."""

WRITING = {
    # The commit makes files visible, not their names: one rename is enough, and no marker.
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
        frame: columns of the table; one that it lacks is null. Evaluated once, into a file per task.
        rows: how many they are at most, where that is known: few become one file.
        once: the transaction that this is; nothing happens where the table knows it.
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
    """Commit what becomes of some files. Args: marks: transactions that the table remembers; None is none."""
    table.create_write_transaction(
        list(actions),
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
        commit_properties=CommitProperties(app_transactions=[mark for mark in marks if mark is not None]),
    )


def _written(rows: DataFrame, snapshot: Snapshot) -> Iterator[AddAction]:
    """Write rows as files below the table's folder, and say what the log needs to know of each that holds any."""
    if not holds(snapshot.schema, rows.schema):
        raise UnsafeState(
            f"rows of {rows.schema.simpleString()} do not fit the table at {snapshot.path}",
            hint="restart the driver: it adds new columns of the contract to the table",
        )
    root = Path(snapshot.path)
    # Spark does not say which files it wrote, so they get a folder of their own first, which VACUUM may remove.
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
    """What the log needs to know of a file that stands in the table's folder."""
    return AddAction(
        path=quote(file.relative_to(snapshot.path).as_posix(), safe="/="),
        size=file.stat().st_size,
        partition_values=partition,
        modification_time=_now(),
        data_change=data_change,
        stats=json.dumps(statistics),
    )


def removed(name: str, *, data_change: bool) -> RemoveAction:
    """The same of a file, as a snapshot names it, that leaves the table."""
    return RemoveAction(quote(name, safe="/="), data_change, _now())


def partition_of(name: Path) -> dict[str, str | None]:
    """Column → value, by the folders of a file's name below its table: each is named after both."""
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
        found["minValues"][name], found["maxValues"][name] = _told(least), _told(greatest)
    return found


def _told(value: Any) -> Any:
    """A value as Delta's log writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _now() -> int:
    return time.time_ns() // 1_000_000
