"""SQL over Arrow tables in this process."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from foundation.quoting import quoted, text
from sinks import sql

AT = datetime(2025, 1, 1, 12, 0, 0, 1, tzinfo=UTC)


def test_values_come_back_as_they_went_in():
    rows = pa.table(
        {
            "at": pa.array([AT, None], pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal("0.1234567890123"), None], pa.decimal128(38, 13)),
            "fields": pa.array([[("a", "1")], None], pa.map_(pa.string(), pa.string())),
            "value": pa.array([b"\x00", None], pa.binary()),
        }
    )
    found = sql.table("FROM rows", rows=rows)
    assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, rows.to_pylist()))
    assert found.schema == rows.schema


def test_rows_are_compared_with_null_equal_to_null():
    left = pa.table({"a": [1, None, 3], "b": ["x", None, "z"]})
    right = pa.table({"a": [None, 3], "b": [None, "other"]})

    assert sql.only(left, right, ("a", "b")).to_pylist() == [{"a": None, "b": None}]
    found = sql.without(left, right, ("a", "b")).to_pylist()
    assert sorted(row["a"] for row in found) == [1, 3]


def test_names_and_texts_with_quotes_are_names_and_texts():
    odd = pa.table({'a "b"': ["it's"]})
    query = f"SELECT {sql.listed(odd.column_names)} FROM odd WHERE {quoted(odd.column_names[0])} = {text(chr(39))}"
    assert sql.table(query, odd=odd).num_rows == 0
    assert sql.row(query.replace("''''", text("it's")), odd=odd) == {'a "b"': "it's"}


def test_a_session_ends_with_its_query():
    sql.table("FROM given", given=pa.table({"a": [1]}))
    with pytest.raises(duckdb.CatalogException):
        sql.table("FROM given")


def test_a_stream_gives_its_rows_for_as_long_as_it_is_open():
    many = pa.table({"n": range(3 * sql.ROWS_AT_ONCE)})
    with sql.stream("SELECT n FROM many", many=many) as batches:
        sizes = [batch.num_rows for batch in batches]
    assert sum(sizes) == many.num_rows
    assert max(sizes) < many.num_rows


def test_nothing_is_fetched_from_outside():
    with pytest.raises(duckdb.Error):
        sql.table("FROM 'https://example.org/a.parquet'")
