"""A Delta table at one version: the list of its files, which no later commit changes.

Spark needs 0.6 s and more to load a version that is new to it, and loads the newest version whenever it plans a read.
delta-rs lists the files of a version in milliseconds. A frame that reads these files as plain Parquet has the same rows
as long as it exists. This is true only for tables without deletion vectors and column mapping; others are refused.
"""

import operator
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import StructType

from sinks.arrow_frames import frame_of_tuples
from sinks.listing import Listing
from sinks.tables import columns_of
from storage import parquet

Filter = tuple[str, str, Any]
"""Column, operator and value, such as `("date_on", ">=", date(2025, 1, 1))`; the value of `in` is a list. If there are
several filters, all must hold."""

FILE = "_file"
"""The column with the name of the row's file."""

OPERATORS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
"""Of a filter, but for `in`: between columns, Arrow's fields and plain values alike."""


def between(column: str, least: Any, greatest: Any) -> tuple[Filter, Filter]:
    """A filter for a range; both bounds are included."""
    return (column, ">=", least), (column, "<=", greatest)


def predicate(filters: Sequence[Filter]) -> Column:
    """The filters as one Spark expression."""
    each = (
        F.col(name).isin(value) if sign == "in" else OPERATORS[sign](F.col(name), F.lit(value))
        for name, sign, value in filters
    )
    return reduce(Column.__and__, each, F.lit(True))


def _condition(filters: Sequence[Filter]) -> pc.Expression:
    """The filters as one Arrow expression."""
    each = (
        pc.field(name).isin(value) if sign == "in" else OPERATORS[sign](pc.field(name), pc.scalar(value))
        for name, sign, value in filters
    )
    return reduce(operator.and_, each, pc.scalar(True))


@dataclass(frozen=True)
class Snapshot(Listing):
    """One version of a table, and its rows."""

    @cached_property
    def schema(self) -> StructType:
        """All columns."""
        return columns_of(self.table)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """All columns, as Arrow has them."""
        return pa.schema(self.table.schema().to_arrow())

    @cached_property
    def never_null(self) -> list[str]:
        """The columns that must not be null."""
        return [field.name for field in self.schema if not field.nullable]

    def files(self, filters: Sequence[Filter] = ()) -> list[str]:
        """The files, below the table's folder, that may hold matching rows according to the statistics in the table's
        log."""
        if any(value is None for _, _, value in filters):
            return []  # no value is equal to null, or less or greater
        told = [(name, sign, _comparable(value)) for name, sign, value in filters if not _has_empty_text(sign, value)]
        root = self.table.table_uri.removeprefix("file://")
        return [uri.removeprefix(root) for uri in self.table.file_uris(file_pruning_predicate=told or None)]

    def read(self, spark: SparkSession, filters: Sequence[Filter] = ()) -> DataFrame:
        """The rows that pass the filters, all columns of the table."""
        return self.read_files(spark, self.files(filters)).where(predicate(filters))

    def read_files(self, spark: SparkSession, files: Collection[str]) -> DataFrame:
        """The rows of some of its files, as `read`."""
        if not files:
            return frame_of_tuples(spark, [], self.schema)
        addresses = [f"{self.path}/{name}" for name in files]
        return spark.read.schema(self.schema).option("basePath", self.path).parquet(*addresses)

    def scan(
        self, columns: Sequence[str], filters: Sequence[Filter] = (), *, files: Collection[str] | None = None
    ) -> pa.RecordBatchReader:
        """Some columns of the rows that pass the filters, and `FILE`, without Spark: read lazily.

        A column that is missing in a file is null.

        Args:
            files: files of the table to read; by default, all that may hold matching rows.
        """
        schema = self.arrow_schema
        by_folder = pa.schema([schema.field(name) for name in self.partition_columns])
        names = self.files(filters) if files is None else files
        partitioning = ds.partitioning(by_folder, flavor="hive") if len(by_folder) else None
        dataset = parquet.data_set(self.path, names, schema, partitioning)
        # A file that delta-rs has rewritten may hold texts as views, which Arrow cannot compare while it reads.
        late = [each for each in filters if pa.types.is_string(schema.field(each[0]).type)]
        early = [each for each in filters if each not in late]
        read = list(dict.fromkeys([*columns, *(name for name, _, _ in late)]))
        found = dataset.scanner(columns=[*read, "__filename"], filter=_condition(early)).to_reader()
        given = pa.schema([*(found.schema.field(name) for name in columns), pa.field(FILE, pa.string())])

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in found:
                kept = batch.filter(_condition(late)) if late else batch
                yield kept.rename_columns([*read, FILE]).select(given.names)

        return pa.RecordBatchReader.from_batches(given, batches())

    def few(self, columns: Sequence[str], filters: Sequence[Filter], *, most: int) -> pa.Table | None:
        """As `scan`, as one table and without `FILE`; None if there are more rows than the limit."""
        found: list[pa.RecordBatch] = []
        reader = self.scan(columns, filters)
        for batch in reader:
            found.append(batch)
            if sum(each.num_rows for each in found) > most:
                return None
        return pa.Table.from_batches(found, reader.schema).drop_columns(FILE)

    def named(self, paths: Collection[str]) -> list[str]:
        """The files with these values of `FILE`."""
        root = f"{parquet.root_of(self.path)}/"
        return [path.removeprefix(root) for path in paths]


def _has_empty_text(sign: str, value: Any) -> bool:
    """Whether a filter has an empty text: delta-rs treats it as null, and would skip every file."""
    return "" in value if sign == "in" else bool(value == "")


def _comparable(value: Any) -> Any:
    """A value in the form that delta-rs compares. Spark returns instants in the host's zone, without a time zone."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value
