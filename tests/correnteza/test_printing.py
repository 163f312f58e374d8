"""Values are printed exactly as the query gave them, in every format, or refused by their column."""

import csv
import io
import json

import duckdb
import pyarrow as pa
import pytest

from correnteza import printing
from foundation.errors import UsageError
from monitoring.lake import Lake


def result(sql: str) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql).to_arrow_table()


def cells(sql: str) -> list[list[str]]:
    """The values of the table for people, and of the CSV, which must be the same ones."""
    table = result(sql)
    of_csv = list(csv.reader(io.StringIO(printing.as_csv(table))))[1:]
    of_people = [line.split() for line in printing.as_table(table).split("\n")[1:-1]]
    assert [" ".join(row).split() for row in of_csv] == of_people
    return of_csv


def strict(text: str):
    """JSON as the standard has it: Python's own reader takes NaN."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def test_two_columns_of_one_name_are_both_printed_or_refused():
    """`a.value, b.value` of a join: a dictionary by name would print one under the other's heading."""
    sql = "SELECT 1 AS value, 2 AS value, 3 AS other"
    assert printing.as_csv(result(sql)) == "value,value,other\n1,2,3"
    assert printing.as_table(result(sql)).split("\n")[1].split() == ["1", "2", "3"]
    with pytest.raises(UsageError, match="two columns are named value"):
        printing.as_json(result(sql))
    assert strict(printing.as_json(result('SELECT 1 AS value, 2 AS "Value"'))) == [{"value": 1, "Value": 2}]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("TIME '10:11:12'", "10:11:12"),
        ("TIME '10:11:12.5'", "10:11:12.500000"),
        ("DATE '2024-02-29'", "2024-02-29"),
        ("TIMESTAMPTZ '2024-01-01 00:00:00-03'", "2024-01-01T03:00:00Z"),
        ("TIMESTAMP_NS '2024-01-01 00:00:00.123456789'", "2024-01-01T00:00:00.123456789"),
        ("'NaN'::DOUBLE", "NaN"),
        ("'inf'::DOUBLE", "Infinity"),
        ("'-inf'::FLOAT", "-Infinity"),
        ("1.50::DECIMAL(9, 2)", "1.50"),
        ("'ab'::BLOB", "6162"),
        ("sha256('x')", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
    ],
)
def test_a_value_is_the_same_text_in_every_format(sql, text):
    assert cells(f"SELECT {sql} AS x") == [[text]]
    assert strict(printing.as_json(result(f"SELECT {sql} AS x"))) == [{"x": text}]
    if "_NS" not in sql:  # in a list it is refused
        assert strict(printing.as_json(result(f"SELECT [{sql}] AS x"))) == [{"x": [text]}]


INTERVALS = (
    "1 month 2 days 3.5 seconds",
    "-3 hours",
    "14 months",
    "-14 months 3 days",
    "0 days",
    "1 year",
    "-1 day -1 seconds",
    "100 hours 0.000001 seconds",
    "2 days",
)


@pytest.mark.parametrize("text", INTERVALS)
def test_an_interval_is_printed_as_sql_writes_it(text):
    """The engine itself says how."""
    ((said,),) = duckdb.execute(f"SELECT (INTERVAL '{text}')::VARCHAR").fetchall()
    sql = f"SELECT INTERVAL '{text}' AS x"
    assert strict(printing.as_json(result(sql))) == [{"x": said}]
    assert printing.as_csv(result(sql)) == f"x\n{said}"
    assert printing.as_table(result(sql)).split("\n")[1] == said


def test_maps_and_structs_are_objects_whatever_their_keys():
    sql = "SELECT MAP {'a': 1, 'b': 2} AS m, MAP {DATE '2024-01-01': 'NaN'::DOUBLE} AS d, {'t': TIME '10:00'} AS s"
    assert strict(printing.as_json(result(sql))) == [
        {"m": {"a": 1, "b": 2}, "d": {"2024-01-01": "NaN"}, "s": {"t": "10:00:00"}}
    ]


def test_what_the_table_for_people_cuts_ends_in_an_ellipsis():
    (line,) = printing.as_table(result("SELECT repeat('x', 500) AS x")).split("\n")[1:-1]
    assert line == "x" * 79 + "…"
    assert strict(printing.as_json(result("SELECT repeat('x', 500) AS x"))) == [{"x": "x" * 500}]


def test_a_cell_has_no_line_break_and_no_escape_sequence():
    table = printing.as_table(result("SELECT 'LAR DOCE' || chr(10) || 'LAR' || chr(27) || '[2J' AS x, 1 AS y"))
    assert table.split("\n")[1] == r"LAR DOCE\nLAR\x1b[2J  1"


@pytest.mark.parametrize(
    "sql", ["DATE 'infinity'", "TIMESTAMP '294246-01-01'", "[TIMESTAMP_NS '2024-01-01 00:00:00.1234567']"]
)
@pytest.mark.parametrize("printed", [printing.as_json, printing.as_csv, printing.as_table])
def test_what_cannot_be_printed_as_it_is_is_refused_by_its_column(sql, printed):
    with pytest.raises(UsageError, match="column x") as refused:
        printed(result(f"SELECT {sql} AS x"))
    assert '"x"::VARCHAR' in str(refused.value.hint)


@pytest.mark.parametrize(
    "sql", ["'1010'::BIT", "TIMETZ '10:00:00+03'", "340282366920938463463374607431768211455::UHUGEINT", "['1'::BIT]"]
)
def test_what_would_arrive_as_another_value_is_refused_before(tmp_path, sql):
    """Arrow has no such types: the last one would be printed as -1."""
    lake = Lake(tmp_path)
    with pytest.raises(UsageError, match="column x is"):
        lake.sql(f"SELECT {sql} AS x")
    assert lake.value(f"SELECT ({sql})::VARCHAR AS x"), "the hint helps"
    assert lake.sql("SELECT now() AS x, [now()] AS y, 1::BIGINT AS z").num_rows == 1


def test_no_columns_or_rows_are_printed_too():
    for printed in (printing.as_json, printing.as_csv, printing.as_table):
        printed(pa.table({}))
        printed(result("SELECT 1 AS x WHERE false"))
    assert printing.as_json(pa.table({})) == "[]"


def test_texts_that_do_not_fit_the_terminal_are_cut_with_a_mark_and_numbers_are_not():
    table = result("SELECT repeat('x', 30) AS long, 'short' AS text, 1234567890123456 AS number")
    lines = printing.as_table(table, 45).split("\n")[:-1]
    assert lines[1] == "x" * 19 + "…  short  1234567890123456"
    assert max(map(len, lines)) == 45
    assert "x" * 30 in printing.as_table(table), "what is no terminal gets all"
    assert "xxxxxxx…" in printing.as_table(table, 10), "something of each text is left"
