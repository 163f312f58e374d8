"""Rows of this process, committed once, and rows put in the place of others."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field, Transaction
from deltalake.schema import PrimitiveType

from foundation.errors import UnsafeState
from sinks import arrow_commit, rows_to_files
from sinks.arrow_commit import append
from sinks.replace_rows import replace_rows
from sinks.snapshot import FILE, Snapshot
from tests.controls import counted
from tests.sinks.delta_tables import SCHEMA, held, made, numbers, row

COLUMNS = pa.schema(SCHEMA.to_arrow())


@pytest.fixture
def path(tmp_path) -> str:
    """An empty table with a partition per day."""
    return made(str(tmp_path / "numbers"))


def rows(*wanted: int, day: int = 1) -> pa.Table:
    return pa.Table.from_pylist([row(number, day) for number in wanted], COLUMNS)


def test_rows_are_appended_in_their_partition_and_every_reader_finds_them(path):
    append(rows(1, 2, 3), path)
    append(rows(4, day=2), path)

    assert held(path) == [row(1), row(2), row(3), row(4, 2)]
    second = Snapshot.of(path).scan(["number", "day"], [("day", "=", 2)]).read_all()
    assert second.select(["number", "day"]).to_pylist() == [{"number": 4, "day": 2}]
    assert Snapshot.of(path).files([("number", ">", 3)]) == Snapshot.of(path).files([("day", "=", 2)])


def test_no_rows_are_no_commit_and_a_column_that_is_lacking_is_null(path):
    append(rows(), path)
    assert DeltaTable(path).version() == 0
    append(rows(1).drop_columns(["name", "record"]), path)
    assert [(each["name"], each["record"]) for each in held(path)] == [(None, None)]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda of: of.append_column("stranger", pa.array([1])), "no column stranger"),
        (lambda of: of.set_column(0, "number", pa.array([None], pa.int64())), "number .* must not be null"),
        (lambda of: of.set_column(1, "name", pa.array([[1]])), "name .* is string"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_committed(path, damage: Callable[[pa.Table], pa.Table], told):
    with pytest.raises(UnsafeState, match=told):
        append(damage(rows(1)), path)
    assert DeltaTable(path).version() == 0


def wrong(path: str, wanted: list[int]) -> list[str]:
    """The oracle: the numbers stand once each."""
    return counted(numbers(path), wanted, "number")


def test_control_without_a_look_at_the_transaction_rows_are_committed_again(path, monkeypatch, control):
    for _ in range(2):
        append(rows(1), path, once=Transaction("job", 7))
    control.holds(wrong, path, [1])
    monkeypatch.setattr(arrow_commit, "is_known", lambda *_: False)
    append(rows(1), path, once=Transaction("job", 7))
    control.objects(wrong, path, [1], damage="number 1 stands 2 times instead of 1")


def test_a_file_ends_where_it_is_large_enough(path, monkeypatch):
    monkeypatch.setattr(rows_to_files, "BYTES_PER_FILE", 1)
    batches = [batch for wanted in ((1, 2), (3,)) for batch in rows(*wanted).to_batches()]
    arrow_commit.replace_files(Snapshot.of(path), (), pa.RecordBatchReader.from_batches(COLUMNS, batches))
    assert (len(DeltaTable(path).file_uris()), numbers(path)) == (2, [1, 2, 3])


def found_in(path: str, *gone: int) -> tuple[Snapshot, pa.Table]:
    snapshot = Snapshot.of(path)
    return snapshot, snapshot.scan(["number"], [("number", "in", list(gone))]).read_all()


def test_rows_go_and_come_in_one_commit_and_a_file_without_them_stays(path):
    append(rows(1, 2), path)
    append(rows(3), path)
    snapshot, gone = found_in(path, 2)
    [other] = snapshot.files([("number", "=", 3)])

    replace_rows(snapshot, gone=gone, keys=["number"], rows=rows(4))

    assert held(path) == [row(1), row(3), row(4)]
    assert other in Snapshot.of(path).files()
    assert DeltaTable(path).version() == snapshot.version + 1


def test_rows_may_only_be_deleted_and_without_a_change_there_is_no_commit(path):
    append(rows(1, 2), path)
    snapshot, gone = found_in(path, 1)
    replace_rows(snapshot, gone=gone, keys=["number"])
    assert numbers(path) == [2]
    snapshot, none = found_in(path, 9)
    replace_rows(snapshot, gone=none, keys=["number"])
    assert DeltaTable(path).version() == snapshot.version


def test_a_key_that_is_not_in_the_table_deletes_nothing(path):
    append(rows(1), path)
    nowhere: dict[str, Any] = {"number": pa.array([7], pa.int64()), FILE: pa.array([None], pa.string())}
    replace_rows(Snapshot.of(path), gone=pa.table(nowhere), keys=["number"], rows=rows(7))
    assert numbers(path) == [1, 7]


def test_a_column_that_a_file_lacks_is_null(path):
    append(rows(1), path)
    DeltaTable(path).alter.add_columns(Field("gained", PrimitiveType("string")))
    found = Snapshot.of(path).scan(["number", "gained"]).read_all()
    assert found.select(["number", "gained"]).to_pylist() == [{"number": 1, "gained": None}]
    snapshot, gone = found_in(path, 1)
    replace_rows(snapshot, gone=gone.slice(0, 0), keys=["number"], rows=rows(2))
    assert [each["gained"] for each in held(path)] == [None, None]


def test_rows_may_come_as_a_stream(path):
    append(rows(1, 2), path)
    for coming in (3, 4):
        snapshot, gone = found_in(path, coming - 2)
        replace_rows(snapshot, gone=gone, keys=["number"], rows=rows(coming).to_reader())
    assert numbers(path) == [3, 4]
    snapshot, none = found_in(path, 9)
    replace_rows(snapshot, gone=none, keys=["number"], rows=rows(5).to_reader())
    assert numbers(path) == [3, 4, 5]


def replaced(path: str, replace: Callable[[], None]) -> list[str]:
    """The oracle: the new row of number 2 says nothing of the column that it lacks."""
    replace()
    [found] = [each for each in held(path) if each["number"] == 2]
    return [] if found["name"] is None else [f"row 2 still says {found['name']}"]


def test_control_a_merge_of_the_columns_that_rows_have_keeps_what_the_old_row_said(path, control):
    """A column that a contract has lost stays in the table; rows are replaced whole, and a MERGE sets columns."""
    append(rows(1, 2), path)
    new = rows(2).drop_columns(["name"])

    def put_in_place() -> None:
        snapshot, gone = found_in(path, 2)
        replace_rows(snapshot, gone=gone, keys=["number"], rows=new)

    def merged() -> None:
        DeltaTable(path).delete("number = 2")
        append(rows(2), path)
        merge = DeltaTable(path).merge(new, "t.number = s.number", source_alias="s", target_alias="t")
        merge.when_matched_update({"price": "s.price"}).execute()

    control.holds(replaced, path, put_in_place)
    control.objects(replaced, path, merged, damage="row 2 still says name 2")
