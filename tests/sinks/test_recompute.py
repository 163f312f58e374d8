"""Recomputed groups replace what the table held of them, and nothing else."""

import math
from collections.abc import Callable
from dataclasses import replace as replace_fields
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema

from foundation.errors import UnsafeState
from sinks import recompute as module
from sinks import sql
from sinks.expectations import Expectation
from sinks.recompute import GoldTarget, Recomputed, recompute, replace
from sinks.tables import PROPERTIES
from sinks.transactions import Batch
from tests.controls import counted

COLUMNS = pa.schema(
    [
        pa.field("month", pa.int32(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        ("total", pa.int32()),
    ]
)


class Gold:
    """A table of totals per month and place, recomputed month by month."""

    def __init__(self, path: Path, schema: pa.Schema = COLUMNS) -> None:
        self.schema = schema
        self.target = GoldTarget("totals", str(path), ("month", "place"), ("month",), tuple(schema.names))
        properties = {**PROPERTIES, "delta.dataSkippingStatsColumns": "month"}
        DeltaTable.create(str(path), Schema.from_arrow(schema), configuration=properties)

    def table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        return pa.Table.from_pylist([dict(zip(self.schema.names, row, strict=True)) for row in rows], self.schema)

    def recompute(
        self,
        groups: list[int],
        rows: list[tuple[Any, ...]],
        batch_id: int,
        count: Callable[[Recomputed], None] = lambda found: None,
    ) -> Recomputed:
        named = pa.table({"month": pa.array(groups, pa.int32())})
        return recompute(self.table(rows), named, self.target, Batch("gold.totals", 0, batch_id), count)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(tuple(row.values()) for row in DeltaTable(self.target.path).to_pyarrow_table().to_pylist())

    @property
    def files(self) -> list[str]:
        return sorted(DeltaTable(self.target.path).file_uris())

    @property
    def version(self) -> int:
        return int(DeltaTable(self.target.path).version())


@pytest.fixture
def gold(tmp_path: Path) -> Gold:
    made = Gold(tmp_path / "totals")
    made.recompute([1, 2], [(1, "a", 10), (1, "b", 11), (2, "a", 20)], batch_id=0)
    return made


def test_a_group_is_replaced_whole_and_other_groups_stay(gold):
    gold.recompute([1], [(1, "a", 15), (1, "c", 12)], batch_id=1)

    assert gold.rows == [(1, "a", 15), (1, "c", 12), (2, "a", 20)]


def test_control_without_looking_for_rows_that_vanished_a_stale_one_stays(gold, monkeypatch, control):
    """The join keeps only what was recomputed."""
    changes = module._changes

    def month(number: int, rows: list[tuple[int, str, int]], batch_id: int) -> list[str]:
        gold.recompute([number], rows, batch_id)
        return counted((row for row in gold.rows if row[0] == number), rows, "row")

    control.holds(month, 1, [(1, "a", 15)], 1)
    gold.recompute([1], [(1, "a", 15), (1, "c", 12)], 2)
    comes = f"FROM found WHERE {module.COMES}"
    monkeypatch.setattr(module, "_changes", lambda *given: sql.table(comes, found=changes(*given)))
    control.objects(month, 1, [(1, "a", 15)], 3, damage="row (1, 'c', 12) stands 1 times instead of 0")


def test_control_with_rows_that_are_evaluated_again_a_commit_between_judging_and_writing_doubles_a_row(
    tmp_path, monkeypatch, control
):
    """It was decided that b is new; silver as of the write has another a."""

    def doubled(name: str) -> list[str]:
        gold, silver = Gold(tmp_path / name), [(1, "a", 10)]
        gold.recompute([1], silver, 0)
        silver.append((1, "b", 12))

        def commits(found: object) -> None:
            silver[0] = (1, "a", 15)

        with monkeypatch.context() as patched:
            if name == "evaluated again":
                replace_rows = module.replace_rows
                patched.setattr(
                    module,
                    "replace_rows",
                    lambda held, **given: replace_rows(held, **{**given, "rows": gold.table(silver)}),
                )
            gold.recompute([1], silver, 1, commits)
        return counted(gold.rows, [(1, "a", 10), (1, "b", 12)], "row")

    control.holds(doubled, "judged")
    control.objects(doubled, "evaluated again", damage="row (1, 'a', 15) stands 1 times instead of 0")


def test_the_same_rows_again_rewrite_no_file(gold):
    before = gold.files
    gold.recompute([1, 2], [(1, "a", 10), (1, "b", 11), (2, "a", 20)], batch_id=1)
    assert gold.files == before

    gold.recompute([3], [(3, "a", 30)], batch_id=2)
    assert set(gold.files) > set(before)  # what is only new leaves all other files as they are


INSTANT = datetime(2024, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
EQUAL = {
    "null": (pa.float64(), None, None),
    "NaN": (pa.float64(), math.nan, math.nan),
    "the sign of zero": (pa.float64(), 0.0, -0.0),
    "decimals": (pa.decimal128(28, 13), Decimal("0.1000000000000"), Decimal("0.1")),
    "instants": (pa.timestamp("us", "UTC"), INSTANT, INSTANT.astimezone(timezone(timedelta(hours=-3)))),
    "dates": (pa.date32(), date(2024, 2, 29), date(2024, 2, 29)),
    "texts": (pa.string(), "Telefônica", "Telefônica"),
    "flags": (pa.bool_(), False, False),
}
DIFFERENT = {
    "null and a value": (pa.float64(), None, 0.0),
    "a value and null": (pa.float64(), 0.0, None),
    "NaN and a value": (pa.float64(), math.nan, math.inf),
    "NaN and null": (pa.float64(), math.nan, None),
    "the last bit": (pa.float64(), 0.1 + 0.2, 0.3),
    "the last decimal": (pa.decimal128(28, 13), Decimal("0.1000000000000"), Decimal("0.1000000000001")),
    "a microsecond": (pa.timestamp("us", "UTC"), INSTANT, INSTANT + timedelta(microseconds=1)),
    "a space at the end": (pa.string(), "Telefônica", "Telefônica "),
    "case": (pa.string(), "TIM", "Tim"),
    "false and null": (pa.bool_(), False, None),
}


def versions_after(path: Path, kind: tuple[pa.DataType, Any, Any]) -> list[int]:
    """The table's version with the first value, and after the second one came in its place."""
    of, first, second = kind
    gold = Gold(path, pa.schema([*list(COLUMNS)[:2], ("total", of)]))
    found = []
    for batch_id, value in enumerate((first, second)):
        gold.recompute([1], [(1, "a", value)], batch_id)
        found.append(gold.version)
    return found


@pytest.mark.parametrize("kind", EQUAL.values(), ids=EQUAL)
def test_a_value_that_is_equal_commits_nothing(tmp_path, kind):
    """As Spark's `<=>` compares."""
    assert versions_after(tmp_path / "totals", kind) == [1, 1]


@pytest.mark.parametrize("kind", DIFFERENT.values(), ids=DIFFERENT)
def test_a_value_that_differs_is_written(tmp_path, kind):
    assert versions_after(tmp_path / "totals", kind) == [1, 2]


def test_a_repeated_batch_is_skipped_even_if_it_would_compute_otherwise(gold):
    gold.recompute([2], [(2, "a", 21)], batch_id=0)

    assert (2, "a", 20) in gold.rows


def test_a_group_without_rows_is_emptied_where_the_group_is_the_key(tmp_path):
    gold = Gold(tmp_path / "totals")
    target = replace_fields(gold.target, group=("month", "place"))
    groups = gold.table([(1, "a", None), (2, "a", None)]).select(["month", "place"])
    for batch_id, rows in enumerate(([(1, "a", 10), (2, "a", 20)], [(2, "a", 21)])):
        recompute(gold.table(rows), groups, target, Batch("gold.totals", 0, batch_id))

    assert gold.rows == [(2, "a", 21)]


def test_a_static_table_is_written_only_when_its_content_changed(spark, tmp_path):
    path = str(tmp_path / "days")
    rows = spark.range(5).withColumnRenamed("id", "day")

    assert [replace(rows, path), replace(rows, path), replace(rows.limit(4), path)] == [True, False, True]
    assert DeltaTable(path).to_pyarrow_table().num_rows == 4


def test_rows_that_are_written_are_held_against_expectations_and_fail_stops_before_the_write(tmp_path):
    gold = Gold(tmp_path / "totals")
    rules = (Expectation("small", "total < 10", "warn"), Expectation("positive", "total > 0", "fail"))
    gold.target = replace_fields(gold.target, expectations=rules)

    def judged(rows: list[tuple[int, str, int | None]], batch_id: int) -> tuple[int, dict[str, int], int]:
        found = gold.recompute([1], rows, batch_id)
        return found.rows, dict(found.broken), found.flawed

    assert judged([(1, "a", 5), (1, "b", 20)], 0) == (2, {"small": 1, "positive": 0}, 1)
    assert judged([(1, "a", 5), (1, "b", 20)], 1) == (0, {"small": 0, "positive": 0}, 0), "nothing is written"
    assert judged([(1, "a", 30)], 2) == (1, {"small": 1, "positive": 0}, 1), "a row that goes is not judged"
    assert judged([(1, "a", None)], 3) == (1, {"small": 0, "positive": 0}, 0), "null breaks no rule"
    before = gold.rows
    with pytest.raises(UnsafeState, match=r"1 rows break positive \(total > 0\)"):
        judged([(1, "a", -1)], 4)
    assert gold.rows == before
    gold.target = replace_fields(gold.target, expectations=rules[:1])
    assert judged([(1, "a", -1)], 4) == (1, {"small": 0}, 0)
    assert gold.rows == [(1, "a", -1)], "the control: without the rule it is written"


def test_counts_are_whole_numbers(gold):
    """DuckDB's `count_if` would give decimals."""
    gold.target = replace_fields(gold.target, expectations=(Expectation("small", "total < 10", "warn"),))
    found = gold.recompute([1], [(1, "a", 30)], 1)
    assert {type(each) for each in (found.rows, found.flawed, *found.broken.values())} == {int}
