"""Rows as Parquet files of a table, each under its final name: what no commit names is not part of the table.

By this process, or by a task of Spark's: nothing here needs the table's log.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import UnsafeState
from sinks.snapshot import Snapshot
from sinks.statistics import statistics_of
from storage import location, parquet
from storage.location import Remote
from storage.s3 import S3

BYTES_PER_FILE = 128 * 1024**2
"""A file that has grown to this is followed by another."""


@dataclass(frozen=True)
class Form:
    """What files of a table must be like.

    Attributes:
        store: of the table; None on a local disk.
        schema: all columns.
    """

    path: str
    store: S3 | None
    schema: pa.Schema
    partition_columns: list[str]
    with_statistics: list[str]
    never_null: list[str]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """The form of a table's files."""
        place = location.location(snapshot.path)
        return cls(
            snapshot.path,
            place.s3 if isinstance(place, Remote) else None,
            snapshot.arrow_schema,
            snapshot.partition_columns,
            snapshot.with_statistics,
            snapshot.never_null,
        )

    def connect(self) -> None:
        """Make the table's store known to another process that has got this."""
        if self.store is not None:
            location.connect(self.path, self.store)


class Written(NamedTuple):
    """A file, complete.

    Attributes:
        name: below the table's folder.
        size: bytes.
        partition: column → value, as the log writes it.
        statistics: in the form of the log.
    """

    name: str
    size: int
    partition: Mapping[str, str | None]
    statistics: Mapping[str, Any]


def written(rows: Iterable[pa.RecordBatch], form: Form) -> Iterator[Written]:
    """Write rows as files of the table, at least one per partition that they are of.

    Raises:
        UnsafeState: the rows do not fit the table's columns.
    """
    inner = pa.schema([field for field in form.schema if field.name not in form.partition_columns])
    writing: dict[tuple[str | None, ...], _File] = {}
    for batch in rows:
        if not batch.num_rows:
            continue
        for values, part in _parts(_fitting(batch, form), form.partition_columns):
            if values not in writing:
                writing[values] = _File(form, values, inner)
            writing[values].writer.write(part.select(inner.names))
            if writing[values].writer.size >= BYTES_PER_FILE:
                yield writing.pop(values).end()
    for file in writing.values():
        yield file.end()


class _File:
    """One that is being written."""

    def __init__(self, form: Form, values: tuple[str | None, ...], schema: pa.Schema) -> None:
        self._form = form
        self._partition = dict(zip(form.partition_columns, values, strict=True))
        self._name = "/".join([*(f"{name}={value}" for name, value in self._partition.items()), f"{uuid4()}.parquet"])
        self._place = location.location(form.path) / self._name
        self.writer = parquet.Writer(self._place, schema, compression="zstd")

    def end(self) -> Written:
        """Complete it."""
        self.writer.close()
        statistics = statistics_of(self.writer.footer, self._form)
        return Written(self._name, self.writer.size, self._partition, statistics)


def _parts(rows: pa.Table, by: list[str]) -> Iterator[tuple[tuple[str | None, ...], pa.Table]]:
    """The rows of each partition."""
    if not by:
        yield (), rows
        return
    keys = rows.select(by).group_by(by).aggregate([]).to_pylist()
    for key in keys:
        values = tuple(None if key[name] is None else str(key[name]) for name in by)
        yield values, rows if len(keys) == 1 else rows.filter(_is_of(key))


def _is_of(key: Mapping[str, Any]) -> pc.Expression:
    conditions = [pc.field(n).is_null() if value is None else pc.field(n) == value for n, value in key.items()]
    condition = conditions[0]
    for each in conditions[1:]:
        condition = condition & each
    return condition


def _fitting(batch: pa.RecordBatch, form: Form) -> pa.Table:
    """The rows with the table's columns in its order. Raises: UnsafeState where they do not fit."""
    schema, path = form.schema, form.path
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
