"""Small files become large ones, and every row stays as it was."""

import json
import shutil
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from foundation.errors import UnsafeState
from sinks import compaction, copies
from sinks.compaction import compact
from sinks.planning import Policy, groups
from sinks.snapshot import Snapshot, between
from tests.controls import counted
from tests.sinks import delta_tables
from tests.sinks.delta_tables import NOON, TODAY, add, commit, held, numbers

SMALL = Policy(small_bytes=1 << 20, target_bytes=4 << 20, at_least=3)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Four files of two rows on the first of January, three on the second, one of today."""
    made = delta_tables.made(str(tmp_path / "numbers"))
    for number in range(0, 8, 2):
        add(made, number, number + 1)
    for number in range(8, 14, 2):
        add(made, number, number + 1, day=2)
    add(made, 14, day=TODAY.day)
    return made


def compacted(path: str, policy: Policy = SMALL) -> int:
    snapshot = Snapshot.of(path)
    return len(compact(snapshot, groups(snapshot, policy, TODAY), until=time.monotonic() + 60))


def test_rows_values_and_types_stay_and_no_row_is_said_to_have_changed(path):
    before = held(path)

    assert compacted(path) == 2

    assert held(path) == before
    assert len(DeltaTable(path).file_uris()) == 3
    actions = [action[kind] for action in commit(path) for kind in ("add", "remove") if kind in action]
    assert len(actions) == 2 + 7
    assert not any(action["dataChange"] for action in actions)


def test_statistics_bound_every_row_to_the_microsecond_and_partitions_stay(path):
    """delta-rs' own compaction keeps milliseconds: its greatest value is below some of the rows."""
    compacted(path)

    snapshot = Snapshot.of(path)
    stats = {action["add"]["path"]: action["add"] for action in commit(path) if "add" in action}
    first = next(each for each in stats.values() if each["partitionValues"]["day"] == "1")
    assert '"at": "2025-01-01T12:00:00.000007Z"' in first["stats"]
    assert '"name"' not in first["stats"]
    assert len(snapshot.files(between("at", NOON + timedelta(microseconds=7), NOON + timedelta(microseconds=9)))) == 1
    assert len(snapshot.files(between("number", 8, 9))) == 1
    assert snapshot.files([("number", ">", 14)]) == []


def test_a_second_run_finds_nothing_and_so_does_one_below_the_number_of_files(path):
    compacted(path)
    version = DeltaTable(path).version()
    assert compacted(path) == 0
    assert DeltaTable(path).version() == version


def test_of_a_table_by_day_the_present_one_stays_as_it_is(path):
    for number in range(15, 19):
        add(path, number, day=TODAY.day)

    by_day = Policy(SMALL.small_bytes, SMALL.target_bytes, SMALL.at_least, closed_days=True)
    assert compacted(path, by_day) == 2
    assert compacted(path) == 1  # without the rule it would be written again


def test_files_that_lie_next_to_each_other_stand_together_and_the_target_bounds_them(path):
    size = DeltaTable(path).get_add_actions()["size_bytes"].to_pylist()[0]
    add(path, 0, 1)  # came last, and belongs to the first
    found = groups(Snapshot.of(path), Policy(1 << 20, 2 * size, at_least=3), TODAY)
    first = [group for group in found if group.partition["day"] == "1"]
    assert [len(group.files) for group in first] == [2, 2]
    assert {file.rows for group in first for file in group.files} == {2}
    compact(Snapshot.of(path), first[:1], until=time.monotonic() + 60)
    stats = next(json.loads(each["add"]["stats"]) for each in commit(path) if "add" in each)
    assert stats["maxValues"]["number"] == 1


def test_files_of_other_columns_are_not_mixed(path):
    """A contract has gained a column: older files lack it, and so does the file that they become."""
    table = DeltaTable(path)
    table.alter.add_columns([delta_tables.Field("note", delta_tables.PrimitiveType("string"))])
    before = held(path)
    for number in range(20, 23):
        rows = DeltaTable(path).to_pyarrow_table().slice(0, 1).to_pylist()
        rows[0] |= {"number": number, "note": "new", "year": 2025, "month": 1, "day": 1}
        schema = delta_tables.pa.schema(DeltaTable(path).schema().to_arrow())
        delta_tables.write_deltalake(path, delta_tables.pa.Table.from_pylist(rows, schema=schema), mode="append")

    assert compacted(path) == 2

    after = held(path)
    assert after[: len(before)] == before
    assert [each["note"] for each in after[len(before) :]] == ["new"] * 3
    assert len(DeltaTable(path).file_uris()) == 4


def test_rows_are_held_by_the_row_group_and_not_by_the_table(path, monkeypatch):
    monkeypatch.setattr(copies, "ROW_GROUP_BYTES", 200)
    monkeypatch.setattr(copies, "ROWS_AT_ONCE", 2)
    before = held(path)
    compacted(path)
    assert held(path) == before
    file = next(uri for uri in DeltaTable(path).file_uris() if "zstd" in uri)
    assert pq.read_metadata(file).num_row_groups > 1


def test_rows_that_are_appended_meanwhile_stay(path, monkeypatch):
    """An append takes nothing out, so the two do not touch each other; bronze needs no turns."""
    monkeypatch.setattr(compaction, "failpoint", lambda name: add(path, 100) if name == "compaction_written" else None)
    compacted(path)
    assert numbers(path) == [*range(15), 100]


def test_a_file_that_holds_other_rows_than_the_log_says_stops_it(path):
    snapshot = Snapshot.of(path)
    found = groups(snapshot, SMALL, TODAY)
    file = Path(path) / found[0].files[0].name
    pq.write_table(pq.read_table(file, partitioning=None).slice(0, 1), file)
    version = snapshot.version
    with pytest.raises(UnsafeState, match="the log says 8"):
        compact(snapshot, found, until=time.monotonic() + 60)
    assert DeltaTable(path).version() == version


def take_out(judged: Snapshot) -> None:
    """What a batch does after its check: here it removes its oldest file, with rows 0 and 1."""
    oldest = next(file for file in judged.files() if 0 in numbers_in(judged, file))
    judged.table.create_write_transaction(
        [RemoveAction(quote(oldest, safe="/="), True, 1)],
        mode="append",
        schema=judged.table.schema(),
        partition_by=judged.table.metadata().partition_columns,
    )


def numbers_in(snapshot: Snapshot, file: str) -> list[int]:
    return pq.read_table(f"{snapshot.path}/{file}", columns=["number"], partitioning=None)["number"].to_pylist()


def still_there(path: str) -> list[str]:
    """The oracle: a file that a batch takes out takes its rows with it."""
    return counted(numbers(path), range(2, 15), "number")


def test_f26_control_a_compaction_in_the_midst_of_a_batch_brings_back_what_the_batch_took_out(path, tmp_path, control):
    """Why the two take turns: delta-rs holds neither commit against the other."""
    other = str(tmp_path / "other")
    shutil.copytree(path, other)

    take_out(Snapshot.of(path))
    compacted(path)
    control.holds(still_there, path)

    judged = Snapshot.of(other)
    compacted(other)
    take_out(judged)
    control.objects(still_there, other, damage=("number 0 stands 1 times", "number 1 stands 1 times"))


def test_a_file_that_was_replaced_meanwhile_stops_it(path, monkeypatch):
    snapshot = Snapshot.of(path)
    found = groups(snapshot, SMALL, TODAY)
    DeltaTable(path).delete("number = 3")
    version = DeltaTable(path).version()
    with pytest.raises(UnsafeState, match="was replaced while it was compacted"):
        compact(snapshot, found, until=time.monotonic() + 60)
    assert DeltaTable(path).version() == version
