"""Maintenance removes the files of a table that no reader needs, and no others."""

import json
import shutil
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from deltalake import DeltaTable, Transaction
from deltalake.transaction import RemoveAction

from sinks import removable
from sinks.listing import Listing
from sinks.removable import Reader, files_to_remove, log_to_remove, remove
from tests.sinks import delta_tables
from tests.sinks.delta_tables import DAY_SECONDS, add, age, commit, log_versions, numbers

STAYS = "part-0.parquet"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Rows 0 to 9, a file and a version each, from version 1."""
    made = delta_tables.made(str(tmp_path / "numbers"))
    for number in range(10):
        add(made, number)
    return made


def file_of(path: str, version: int) -> str:
    return next(action["add"]["path"] for action in commit(path, version) if "add" in action)


def take_out(path: str, *versions: int, days_ago: float) -> list[str]:
    """Remove the files that versions brought, as if it had been done some days ago."""
    table, files = DeltaTable(path), [file_of(path, version) for version in versions]
    when = int((time.time() - days_ago * DAY_SECONDS) * 1000)
    table.create_write_transaction(
        [RemoveAction(quote(file, safe="/="), True, when) for file in files],
        mode="append",
        schema=table.schema(),
        partition_by=table.metadata().partition_columns,
    )
    return files


def attempt(path: str) -> list[str]:
    """What a killed attempt leaves: rows in a folder of their own, and a file that was renamed and never committed."""
    root = Path(path)
    names = [f"{'0a' * 16}/_temporary/0/{STAYS}", f"{'0a' * 16}/year=2025/{STAYS}", f"year=2025/month=1/day=1/{STAYS}"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"rows")
    return sorted(names)


def test_files_go_a_week_after_they_left_and_not_before(path):
    old = take_out(path, 1, 2, days_ago=7.1)
    take_out(path, 3, days_ago=6.9)
    left = attempt(path)
    assert files_to_remove(Listing.of(path), []).files == sorted(old)
    age(path, 7.1)
    found = files_to_remove(Listing.of(path), []).files
    assert found == sorted([*old, *left])

    assert remove(Path(path), found, until=time.monotonic() + 60) == 5

    assert numbers(path) == list(range(3, 10))
    assert not (Path(path) / ("0a" * 16)).exists()
    assert files_to_remove(Listing.of(path), []).files == []


def lost(path: str, reader: Reader, files: list[str]) -> list[str]:
    """The oracle: of files that a reader has yet to read, those that would go."""
    removable = files_to_remove(Listing.of(path), [reader]).files
    return [f"{file} would go, and {reader.query} has yet to read it" for file in files if file in removable]


def test_f26_control_files_that_a_slow_reader_needs_stay_and_it_is_named(path, control, monkeypatch):
    old = take_out(path, 3, 6, days_ago=8)
    slow, quick = Reader("silver.slow", 5), Reader("silver.quick", 11)
    found = files_to_remove(Listing.of(path), [quick, slow])
    assert (found.files, found.held, found.held_by) == ([old[0]], [old[1]], ["silver.slow"])
    control.holds(lost, path, slow, old[1:])

    monkeypatch.setattr(removable, "_needed", lambda path, reader: set())
    control.objects(lost, path, slow, old[1:], damage="has yet to read it")


def test_a_first_read_needs_the_table_as_it_stood(path):
    old = take_out(path, 3, 6, days_ago=8)
    gone_by_then = Reader("silver.first", 11, is_snapshot=True)
    assert files_to_remove(Listing.of(path), [gone_by_then]).files == sorted(old)
    assert files_to_remove(Listing.of(path), [Reader("silver.first", 10, is_snapshot=True)]).held == sorted(old)


def test_a_reader_that_has_not_begun_holds_everything_but_what_was_never_committed(path):
    old = take_out(path, 3, days_ago=8)
    left = attempt(path)
    age(path, 8)
    found = files_to_remove(Listing.of(path), [Reader("silver.new", None)])
    assert found.held == sorted([*old, left[-1]])
    assert found.files == left[:-1]
    assert found.held_by == ["silver.new"]


def test_a_reader_whose_log_is_gone_holds_the_files(path):
    take_out(path, 3, days_ago=8)
    DeltaTable(path).create_checkpoint()
    (Path(path) / "_delta_log" / f"{7:020}.json").unlink()
    assert files_to_remove(Listing.of(path), [Reader("silver.slow", 5)]).files == []


def remove_log(path: str, *readers: Reader) -> list[int]:
    """Remove what may go; the versions that are left."""
    found = log_to_remove(path, readers, now=time.time())
    remove(Path(path) / "_delta_log", found.files, until=time.monotonic() + 60)
    return log_versions(path)


def test_the_log_goes_up_to_a_checkpoint_once_it_is_old(path):
    add(path, 10, once=Transaction("silver.some", 7))
    DeltaTable(path).create_checkpoint()
    add(path, 11)
    assert remove_log(path) == list(range(13))  # young
    age(path, 2.1)

    assert remove_log(path) == [11, 12]

    assert numbers(path) == list(range(12))
    assert DeltaTable(path).transaction_version("silver.some") == 7


def test_without_a_checkpoint_nothing_of_the_log_goes(path):
    age(path, 100)
    assert remove_log(path) == list(range(11))


def unreadable(path: str, reader: Reader) -> list[str]:
    """The oracle: what a reader needs and is gone: commits from its version on, the table as it stood there."""
    there = set(log_versions(path))
    gone = [f"version {version} is gone" for version in range(reader.version, 12) if version not in there]
    try:
        DeltaTable(path, version=reader.version)
    except Exception as error:
        gone.append(f"the table at version {reader.version} is gone: {error}")
    return gone


def test_control_the_log_stays_from_the_checkpoint_of_the_slowest_reader_on(path, control):
    DeltaTable(path, version=3).create_checkpoint()
    DeltaTable(path, version=7).create_checkpoint()
    add(path, 10)
    age(path, 30)
    slow = Reader("gold.slow", 5, is_snapshot=True)
    found = log_to_remove(path, [Reader("gold.quick", 12), slow], now=time.time())
    assert (found.held_by, len(found.held)) == (["gold.slow"], 5)  # versions 3 to 6, and a checkpoint

    assert remove_log(path, Reader("gold.quick", 12), slow) == list(range(3, 12))
    control.holds(unreadable, path, slow)
    assert remove_log(path, Reader("gold.quick", 12)) == list(range(7, 12))
    control.objects(unreadable, path, slow, damage=("version 5 is gone", "the table at version 5 is gone"))


def test_a_young_entry_keeps_those_after_it(path):
    """Else the log would have a gap, and whoever reads from before it would stop there."""
    DeltaTable(path).create_checkpoint()
    age(path, 30)
    (Path(path) / "_delta_log" / f"{4:020}.json").touch()
    assert remove_log(path) == list(range(4, 11))


def test_a_checkpoint_that_the_log_does_not_point_to_is_not_used(path):
    DeltaTable(path).create_checkpoint()
    add(path, 10)
    pointer = Path(path) / "_delta_log" / "_last_checkpoint"
    age(path, 30)
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"version": 9}))
    assert remove_log(path) == list(range(12))


def test_removal_stops_in_time_and_goes_on_later(path):
    DeltaTable(path).create_checkpoint()
    age(path, 30)
    found = log_to_remove(path, [], now=time.time()).files
    assert remove(Path(path) / "_delta_log", found, until=0) == 0
    assert len(log_to_remove(path, [], now=time.time()).files) == 10


def versions_after_a_checkpoint(path: str) -> list[str]:
    """The oracle: versions that are gone after the engine's own checkpoint of an old log, at every fiftieth commit."""
    DeltaTable(path).create_checkpoint()
    age(path, 40)
    for number in range(10, 60):
        add(path, number)
    return [f"version {version} is gone" for version in range(60) if version not in log_versions(path)]


def test_control_delta_rs_leaves_the_log_alone_because_the_table_says_so(path, tmp_path, control):
    other = str(tmp_path / "other")
    shutil.copytree(path, other)
    DeltaTable(other).alter.set_table_properties({"delta.enableExpiredLogCleanup": "true"})
    control.holds(versions_after_a_checkpoint, path)
    control.objects(versions_after_a_checkpoint, other, damage="version 3 is gone")
