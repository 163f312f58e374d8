"""`gold.forecasts`: forecasts made elsewhere, loaded file by file; an invalid file (*drop*) is refused whole.

A drop is one Parquet file of one run of one model. It is known by the hash of its bytes, which is also the Delta
transaction: loading it again changes nothing. If two processes load at once, Delta lets one commit first, and refuses
or orders the other.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import reduce
from operator import and_
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema, Transaction

from foundation.errors import InvalidContent, UsageError
from sinks import tables
from sinks.arrow_commit import append
from sinks.tables import exists, properties_of
from storage import delta

APP = "forecasts."
"""Stands before a drop's id in its Delta transaction."""
MOST_BYTES = 256 * 1024**2
"""Largest size of a drop, which is read as a whole."""
MOST_ROWS = 5_000_000

INSTANT = pa.timestamp("us", "UTC")
RUN = ("dataset_id", "model_version", "source", "generated_at")
"""The columns that have one value per drop."""

SCHEMA = pa.schema(
    [
        pa.field("forecast_id", pa.string(), nullable=False),
        pa.field("dataset_id", pa.string(), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("generated_at", INSTANT, nullable=False),
        pa.field("series_id", pa.string(), nullable=False),
        pa.field("date_on", pa.date32(), nullable=False),
        pa.field("horizon_days", pa.int32(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("lower", pa.float64()),
        pa.field("upper", pa.float64()),
        pa.field("loaded_at", INSTANT, nullable=False),
    ]
)
OURS = ("forecast_id", "horizon_days", "loaded_at")
"""Columns that are added here, and not part of a drop."""
OPTIONAL = ("lower", "upper")
BROUGHT = pa.schema([field.with_nullable(True) for field in SCHEMA if field.name not in OURS])
"""The columns of a drop."""

# The condition of each row; the text completes "N rows …".
_RULES = {
    "have no text in dataset_id, model_version, source or series_id": (
        "coalesce(trim(dataset_id), '') = '' OR coalesce(trim(model_version), '') = ''"
        " OR coalesce(trim(source), '') = '' OR coalesce(trim(series_id), '') = ''"
    ),
    "have a dataset_id other than a-z, 0-9, dot, dash and underscore": (
        "NOT regexp_full_match(dataset_id, '[a-z0-9][a-z0-9._-]{0,63}')"
    ),
    "lack generated_at, date_on or value": "generated_at IS NULL OR date_on IS NULL OR value IS NULL",
    # DuckDB takes the greatest and least days for infinity, which has no year.
    "have a generated_at or date_on outside the years 2000 to 2200": (
        "generated_at IS NOT NULL AND coalesce(year(generated_at), 0) NOT BETWEEN 2000 AND 2200"
        " OR date_on IS NOT NULL AND coalesce(year(date_on), 0) NOT BETWEEN 2000 AND 2200"
    ),
    "have a value that is not a finite number": (
        "NOT isfinite(value) OR NOT coalesce(isfinite(lower), true) OR NOT coalesce(isfinite(upper), true)"
    ),
    "have bounds that do not hold the value between them": "lower > value OR value > upper",
    "were generated in the future": "generated_at > $now",
    "forecast a day that was not ahead when they were generated": "date_on <= generated_at::DATE",
    "repeat a series_id and date_on": "copies > 1",
}


def load(file: Path, path: str, *, now: datetime) -> tuple[str, int]:
    """Load one drop.

    Args:
        path: of the Delta table; it is created by the first drop.
        now: nothing may have been generated after it.

    Returns: the drop's id and how many rows were written: 0 if it was loaded before.

    Raises:
        InvalidContent: the drop breaks a rule; nothing of it was written.
        UsageError: there is no such file.
    """
    rows, forecast_id = _read(file)
    _check(rows, now)
    app_id = f"{APP}{forecast_id}"
    if not exists(path):
        delta.create(path, Schema.from_arrow(SCHEMA), configuration=properties_of(path))
    table = delta.table(path)
    if table.transaction_version(app_id) is not None:
        return forecast_id, 0
    _refuse_other_bytes(table, rows)
    complete = (
        duckdb.from_arrow(rows)
        .project(
            f"'{forecast_id}' AS forecast_id, *, datediff('day', generated_at::DATE, date_on) AS horizon_days,"
            f" TIMESTAMPTZ '{now.isoformat()}' AS loaded_at"
        )
        .to_arrow_table()
    )
    append(complete.select(SCHEMA.names).cast(SCHEMA), path, once=Transaction(app_id, 1))
    return forecast_id, complete.num_rows


def versions(path: str) -> dict[str, int]:
    """Drop → the table's version that its commit made; without drops whose commit the log no longer has."""
    found = {}
    for version in range(tables.version(path) + 1):
        for kind, action in tables.actions_of(path, version) or ():
            if kind == "txn" and action["appId"].startswith(APP):
                found[action["appId"].removeprefix(APP)] = version
    return found


def _read(file: Path) -> tuple[pa.Table, str]:
    """The rows with the declared columns and types, and the hash of the bytes."""
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    if file.stat().st_size > MOST_BYTES:
        raise InvalidContent(f"{file.name} has more than {MOST_BYTES // 1024**2} MiB", hint="split it by run or series")
    # Read once, so that the hash is of the loaded bytes even if somebody writes to the file meanwhile.
    content = file.read_bytes()
    try:
        parquet = pq.ParquetFile(pa.BufferReader(content))
        if parquet.metadata.num_rows > MOST_ROWS:
            raise InvalidContent(f"{file.name} has more than {MOST_ROWS:,} rows", hint="split it by run or series")
        rows = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise InvalidContent(f"{file.name} is not a Parquet file that can be read: {str(error)[:200]}") from None
    wrong = list(_wrong_columns(rows.schema))
    if wrong:
        raise InvalidContent(f"{file.name}: {'; '.join(wrong)}", hint="correnteza forecasts load --help")
    if not rows.num_rows:
        raise InvalidContent(f"{file.name} has no rows")
    for name in OPTIONAL:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.float64()))
    columns = [_column(rows.column(field.name), field) for field in BROUGHT]
    return pa.table(columns, schema=BROUGHT), hashlib.sha256(content).hexdigest()


def _column(found: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """A column under its declared type. Instants are cut to microseconds; no other value may lose precision.

    Raises: InvalidContent, naming the column.
    """
    try:
        found.validate(full=True)  # text that is not UTF-8, above all
        is_finer = pa.types.is_timestamp(found.type) and found.type.unit == "ns"
        return found.cast(field.type, safe=not is_finer)
    except pa.ArrowException as error:
        raise InvalidContent(
            f"column {field.name} holds values that {field.type} cannot hold: {str(error)[:200]}"
        ) from None


def _wrong_columns(found: pa.Schema) -> Iterator[str]:
    expected = {field.name: field.type for field in BROUGHT}
    for name in sorted({name for name in found.names if found.names.count(name) > 1}):
        yield f"column {name} stands twice"
    for name in sorted(expected.keys() - set(found.names) - set(OPTIONAL)):
        yield f"column {name} is missing"
    for name in sorted(set(found.names) - expected.keys()):
        index = "; pandas writes its index so, unless index=False" if name.startswith("__index_level_") else ""
        yield f"column {name} is not one of a drop's{index}"
    for name in sorted(set(found.names) & expected.keys()):
        kind = found.types[found.names.index(name)]
        if not _fits(kind, expected[name]):
            yield f"column {name} is {kind}, not {expected[name]}"


def _fits(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a column of this type can hold the declared type; a column without any value has no type."""
    if pa.types.is_null(kind):
        return True
    if pa.types.is_dictionary(kind):  # pandas' categories
        return pa.types.is_string(expected) and _fits(kind.value_type, expected)
    if pa.types.is_string(expected):
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
    if pa.types.is_floating(expected):
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
    if pa.types.is_timestamp(expected):
        return bool(pa.types.is_timestamp(kind) and kind.tz is not None)
    return bool(kind == expected)


def _check(rows: pa.Table, now: datetime) -> None:
    """Raises: InvalidContent, naming every rule that is broken, how often, and the first row that does."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("arriving", rows)
        connection.execute(
            "CREATE TABLE rows AS SELECT *, count(*) OVER (PARTITION BY series_id, date_on) AS copies,"
            " row_number() OVER () AS number FROM arriving"
        )
        broken = []
        for sentence, predicate in _RULES.items():
            query = f"SELECT count(*), min(number) FROM rows WHERE coalesce({predicate}, false)"
            named = {"now": now} if "$now" in predicate else None
            count, first = connection.execute(query, named).fetchone() or (0, None)
            if count:
                broken.append(f"{count} rows {sentence}, the first is row {first}")
        for column in RUN:
            values = connection.execute(f"SELECT count(DISTINCT {column}) FROM rows").fetchone()
            if values and values[0] > 1:
                broken.append(f"{values[0]} different {column}: a drop is one run of one model")
    if broken:
        raise InvalidContent("; ".join(broken), hint="nothing was loaded; correct the file and load it again")


def _refuse_other_bytes(table: DeltaTable, rows: pa.Table) -> None:
    """Raises: InvalidContent if the run was loaded from other bytes: they would double its forecasts or contradict
    them."""
    run = {name: rows[name][0] for name in RUN}
    same = reduce(and_, (pc.field(name) == value for name, value in run.items()))
    held = table.to_pyarrow_dataset().to_table(columns=["forecast_id"], filter=same)
    if held.num_rows:
        raise InvalidContent(
            f"this run of {run['model_version']} was loaded from another file: forecast {held['forecast_id'][0]}",
            hint="give a new run its own generated_at",
        )
