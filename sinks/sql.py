"""SQL over Arrow tables, in this process: a small batch costs milliseconds, without the planning of a Spark job.

Each session sees only the tables that it is given; nothing is kept after it ends.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from foundation.quoting import quoted

MEMORY = "1GB"
"""Memory of all sessions of a process together, beside the given tables; beyond it they write to disk."""

ROWS_AT_ONCE = 100_000
"""Rows per batch of a stream."""


def table(query: str, **given: pa.Table | pa.RecordBatchReader) -> pa.Table:
    """The rows of a query. Args: given: the tables that it names; a reader can be used only once."""
    with _session(given) as session:
        return session.sql(query).to_arrow_table()


def row(query: str, **given: pa.Table | pa.RecordBatchReader) -> dict[str, Any]:
    """The only row of a query, as Python values."""
    (found,) = table(query, **given).to_pylist()
    return dict(found)


@contextmanager
def stream(query: str, **given: pa.Table | pa.RecordBatchReader) -> Iterator[pa.RecordBatchReader]:
    """As `table`, batch by batch, for results that are larger than memory; valid inside the context."""
    with _session(given) as session:
        yield session.sql(query).to_arrow_reader(ROWS_AT_ONCE)


def listed(columns: Iterable[str]) -> str:
    """Columns, quoted and separated by commas."""
    return ", ".join(map(quoted, columns))


def same(columns: Iterable[str], left: str, right: str) -> str:
    """Whether two aliases agree in all of these columns; null equals null."""
    return " AND ".join(f"{left}.{quoted(name)} IS NOT DISTINCT FROM {right}.{quoted(name)}" for name in columns)


def only(rows: pa.Table, other: pa.Table, columns: Iterable[str]) -> pa.Table:
    """The rows that have a match in `other` in these columns; null equals null."""
    return table(f"SELECT * FROM l SEMI JOIN r ON {same(columns, 'l', 'r')}", l=rows, r=other)


def without(rows: pa.Table, other: pa.Table, columns: Iterable[str]) -> pa.Table:
    """The rows that have no match in `other` in these columns; null equals null."""
    return table(f"SELECT * FROM l ANTI JOIN r ON {same(columns, 'l', 'r')}", l=rows, r=other)


def _session(given: dict[str, pa.Table | pa.RecordBatchReader]) -> duckdb.DuckDBPyConnection:
    session = _database().cursor()
    session.execute("SET TimeZone = 'UTC'")
    for name, rows in given.items():
        session.register(name, rows)
    return session


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Shared by the threads of the driver, each with sessions of its own."""
    spill = tempfile.mkdtemp(prefix="correnteza-")
    atexit.register(shutil.rmtree, spill, ignore_errors=True)
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "temp_directory": spill,
            "preserve_insertion_order": "false",
            "python_enable_replacements": "false",  # a name is always a given table, never a Python variable
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
