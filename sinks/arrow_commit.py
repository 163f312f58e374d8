"""Write rows of this process to a Delta table, and commit them as `sinks/commit.py` does.

A batch of some thousand rows costs milliseconds this way. Large data are written by Spark, which divides the work into
tasks.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Transaction
from deltalake.transaction import AddAction

from foundation.errors import UnsafeState
from sinks.commit import BYTES_PER_FILE, in_place, is_known, removed, statistics_of, transact
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
    added = list(_written(rows, snapshot))
    gone = [removed(name, data_change=True) for name in files]
    if added or gone:
        transact(snapshot.table, [*gone, *added], once)


def _written(rows: pa.RecordBatchReader, snapshot: Snapshot) -> Iterator[AddAction]:
    """Write rows as files of the table; returns the log entry of each."""
    schema, by = snapshot.arrow_schema, snapshot.partition_columns
    inner = pa.schema([field for field in schema if field.name not in by])
    partition: dict[str, str | None] = {}
    writer, file = None, Path()
    for batch in rows:
        if not batch.num_rows:
            continue
        fitting = _fitting(batch, schema, snapshot.path)
        if writer is None:
            partition = {name: _one_value(fitting, name) for name in by}
            file = Path(snapshot.path, *(f"{name}={value}" for name, value in partition.items()), f"{uuid4()}.parquet")
            file.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(file, inner, compression="zstd")
        writer.write_table(fitting.select(inner.names))
        if file.stat().st_size >= BYTES_PER_FILE:
            writer.close()
            yield _added(snapshot, file, partition)
            writer = None
    if writer is not None:
        writer.close()
        yield _added(snapshot, file, partition)


def _added(snapshot: Snapshot, file: Path, partition: dict[str, str | None]) -> AddAction:
    statistics = statistics_of(pq.read_metadata(file), snapshot)
    return in_place(snapshot, file, partition, statistics, data_change=True)


def _fitting(batch: pa.RecordBatch, schema: pa.Schema, path: str) -> pa.Table:
    """The rows with the table's columns in its order. Raises: UnsafeState where they do not fit."""
    if strangers := set(batch.schema.names) - set(schema.names):
        raise UnsafeState(
            f"the table at {path} has no column {', '.join(sorted(strangers))}",
            hint="restart the driver: it adds new columns of the contract to the table",
        )
    columns = []
    for field in schema:
        place = batch.schema.get_field_index(field.name)
        column = pa.nulls(batch.num_rows, field.type) if place < 0 else _cast(batch.column(place), field, path)
        if not field.nullable and column.null_count:
            raise UnsafeState(f"{field.name} of the table at {path} must not be null")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, field: pa.Field, path: str) -> pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), field.type)
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise UnsafeState(f"{field.name} of the table at {path} is {field.type}: {error}") from error


def _one_value(rows: pa.Table, column: str) -> str | None:
    """The value that all rows have in a partition column."""
    (value,) = rows.column(column).unique().to_pylist()
    return None if value is None else str(value)
