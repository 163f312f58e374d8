"""F27: the process that swaps a rebuilt table in is killed at each failure point, while readers read all the time.

The swap itself needs no JVM, so every point is killed in each run: a process of its own owns the tables.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from foundation.errors import UnsafeState
from sinks import swap
from storage import delta, files, location
from stream_jobs.places import Places
from stream_jobs.rebuild import run
from stream_jobs.running import handover, shadows
from stream_jobs.running.checkpoints import Checkpoint
from tests import rebuilt_lake
from tests.helpers import PATIENCE_SECONDS, wait_for
from tests.rebuilt_lake import LIVE, QUERY, SHADOW, TABLES, held, made, numbers, torn
from tests.spark_fixtures import spark

__all__ = ["spark"]

pytestmark = pytest.mark.fault

HOLDER = """
import sys, time
from pathlib import Path
from sinks.locks import exclusive
with exclusive(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""
SWAP = ["before_swap", *(f"{point}@{n}" for n in (1, 2, 3) for point in ("swap_linked", "mid_swap"))]
SWAP += ["swap_committed", "checkpoint_copied", "after_swap"]
RETURN = ["before_return", "mid_swap@1", "mid_swap@2", "mid_swap@3", "return_committed", "after_return"]
POINTS = {*SWAP, *RETURN}


def killed_at(places: Places, point: str) -> None:
    """The owner of the tables does what is wanted, and is killed at a point of it."""
    owner = rebuilt_lake.PROCESSES.Process(target=rebuilt_lake.own, args=(places, point, location.connected()))
    owner.start()
    owner.join(PATIENCE_SECONDS)
    assert owner.exitcode == -signal.SIGKILL


def asked_back(places: Places) -> None:
    state = handover.read(places, QUERY)
    assert state is not None
    handover.write(places, replace(state, phase="return_wanted"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A lake with a rebuild that is asked for."""
    return made(tmp_path)


@pytest.mark.parametrize("point", SWAP)
def test_f27_a_swap_that_is_killed_at_any_point_is_ended_by_the_next_owner_and_can_be_rolled_back(places, point):
    killed_at(places, point)
    for table in TABLES:
        assert held(places.table(table)) in (numbers(LIVE), numbers(SHADOW)), f"a reader sees a mix of {table}"

    handover.carry_out(places, QUERY)
    assert torn(places, SHADOW) == []
    assert (places.checkpoint(QUERY) / "seen.json").read_text() == '{"generation": 1}'
    for table in TABLES:
        assert rebuilt_lake.commits(places.table(table), [f"rebuild.some-run.{table}.swap"]) == 1
    assert not handover.is_wanted(places, QUERY)

    asked_back(places)
    handover.carry_out(places, QUERY)
    assert torn(places, LIVE) == []


@pytest.mark.parametrize("point", RETURN)
def test_f27_a_rollback_that_is_killed_at_any_point_is_ended_by_the_next_owner(places, point):
    handover.carry_out(places, QUERY)
    asked_back(places)
    killed_at(places, point)

    handover.carry_out(places, QUERY)
    assert torn(places, LIVE) == []
    for table in TABLES:
        assert rebuilt_lake.commits(places.table(table), [f"rebuild.some-run.{table}.return"]) == 1


def test_f27_control_without_the_state_file_the_next_owner_goes_on_with_the_wrong_checkpoint(tmp_path, control):
    def next_owner(places: Places) -> list[str]:
        handover.carry_out(places, QUERY)
        return [each for each in torn(places, SHADOW) if "does not hold" in each]

    safe, lost = made(tmp_path / "safe"), made(tmp_path / "lost")
    for places in (safe, lost):
        killed_at(places, "mid_swap@1")
    control.holds(next_owner, safe)
    (lost.checkpoints / "rebuild" / QUERY / "state.json").unlink()
    control.objects(next_owner, lost, damage="_revisions does not hold the rows of the guard's generation 0")


def test_a_version_from_before_the_swap_still_reads(places):
    before = {table: delta.table(places.table(table)).version() for table in TABLES}
    handover.carry_out(places, QUERY)
    for table, version in before.items():
        old = delta.table(places.table(table), version).to_pyarrow_table().to_pylist()
        assert sorted(row["number"] for row in old if row["dataset"] == rebuilt_lake.DATASET) == numbers(LIVE)
        assert delta.table(places.table(table)).version() == version + 1


def test_a_table_that_was_deleted_by_hand_comes_back_from_its_shadow(tmp_path):
    places = made(tmp_path)
    (tmp_path / "lake" / "silver" / rebuilt_lake.DATASET).rename(tmp_path / "gone")
    handover.carry_out(places, QUERY)
    assert torn(places, SHADOW) == []
    asked_back(places)
    with pytest.raises(UnsafeState, match="had no content before"):
        handover.carry_out(places, QUERY)


def test_a_rollback_whose_files_are_gone_is_refused_and_changes_nothing(places):
    handover.carry_out(places, QUERY)
    state = handover.read(places, QUERY)
    assert state is not None
    assert state.former is not None
    files.remove(location.location(places.table(QUERY)) / state.former.files[QUERY][0])
    asked_back(places)
    with pytest.raises(UnsafeState, match="were removed since"):
        handover.carry_out(places, QUERY)
    assert torn(places, SHADOW) == []


def test_a_checkpoint_that_was_adopted_meanwhile_is_not_replaced(tmp_path):
    places = made(tmp_path)
    checkpoint = Checkpoint(QUERY, places.checkpoint(QUERY))
    guard = checkpoint.guard
    assert guard is not None
    killed_at(places, "before_swap")
    checkpoint.begin(replace(guard, generation=5))
    with pytest.raises(UnsafeState, match="given another checkpoint") as refused:
        handover.carry_out(places, QUERY)
    assert refused.value.hint is not None
    assert "--abandon" in refused.value.hint
    assert held(places.table(QUERY)) == numbers(LIVE)
    assert checkpoint.newest_generation() == 5
    (places.checkpoints / "rebuild" / "run.json").write_text(json.dumps({"run": "some-run", "queries": [QUERY]}))
    run.abandon(places, run.require(places))
    assert not handover.is_wanted(places, QUERY)


def test_a_checkpoint_that_is_adopted_beside_a_rebuild_gets_a_generation_of_its_own(tmp_path):
    """Under the shadow's generation its batches would be skipped as written, once the tables have the shadow's ids."""
    places = made(tmp_path)
    assert Checkpoint(QUERY, places.checkpoint(QUERY)).newest_generation() == SHADOW


def test_a_swap_that_was_begun_is_not_abandoned_and_one_that_was_asked_for_is(tmp_path):
    asked, begun = made(tmp_path / "asked"), made(tmp_path / "begun")
    killed_at(begun, "mid_swap@1")
    this = run.Run("some-run", (QUERY,))
    with pytest.raises(UnsafeState, match="was begun"):
        run.abandon(begun, this)
    run.abandon(asked, this)
    handover.carry_out(asked, QUERY)
    assert torn(asked, LIVE) == []
    assert not (tmp_path / "asked" / "lake" / "rebuild").exists()


def test_without_a_driver_the_rebuild_swaps_under_the_locks_and_beside_maintenance_it_waits(tmp_path):
    places = made(tmp_path)
    state = handover.read(places, QUERY)
    assert state is not None
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(places.locks), QUERY], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UnsafeState, match="was not swapped within 1 s"):
            run.hand_over(places, state, "swap_wanted", seconds=1.0)
        assert torn(places, LIVE) == []
    finally:
        holder.kill()
        holder.wait()
    run.hand_over(places, state, "swap_wanted", seconds=PATIENCE_SECONDS)
    assert torn(places, SHADOW) == []


def test_a_driver_that_starts_while_a_table_is_swapped_does_not_get_it(tmp_path):
    """A second owner would write beside the swap."""
    places = made(tmp_path)
    with ExitStack() as stack:
        run._lock_tables(stack, places, QUERY)
        program = [sys.executable, "-c", HOLDER, str(places.locks), QUERY]
        second = subprocess.run(program, capture_output=True, text=True, check=False)
        assert "TableIsTakenError" in second.stderr
    handover.carry_out(places, QUERY)
    assert torn(places, SHADOW) == []


def test_a_column_that_the_driver_has_added_since_the_shadow_was_built_stays(tmp_path):
    """A release with a wider contract takes up what the one before it has built."""
    places = made(tmp_path)
    path = places.table(QUERY)
    empty = pa.table(
        {"number": pa.array([], pa.int64()), "dataset": pa.array([], pa.string()), "more": pa.array([], pa.string())}
    )
    write_deltalake(path, empty, mode="append", schema_mode="merge")
    handover.carry_out(places, QUERY)
    assert torn(places, SHADOW) == []
    assert set(DeltaTable(path).to_pyarrow_table()["more"].to_pylist()) == {None}


Seen = tuple[int, int]
"""Rows, and the sum of their numbers: two contents that differ in a row differ in it here."""
Look = Callable[[str], Seen]


def by_delta_rs(path: str) -> Seen:
    table = delta.table(path).to_pyarrow_table(columns=["number"])
    return table.num_rows, pc.sum(table["number"]).as_py() or 0


def by_duckdb(path: str) -> Seen:
    rows = delta.table(path).to_pyarrow_dataset(filesystem=delta.filesystem(path))
    [found] = duckdb.connect().from_arrow(rows).aggregate("count(*), coalesce(sum(number), 0)").fetchall()
    return int(found[0]), int(found[1])


@contextmanager
def looking(path: str, looks: list[Look]) -> Iterator[list[Seen]]:
    """Readers that look again and again, each in a thread of its own."""
    seen: list[Seen] = []
    troubles: list[Exception] = []
    stop = threading.Event()

    def look_again(look: Look) -> None:
        while not stop.is_set():
            try:
                seen.append(look(path))
            except Exception as error:
                troubles.append(error)
                return

    threads = [threading.Thread(target=look_again, args=(each,)) for each in looks]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert troubles == []


def mixed(seen: list[Seen], allowed: list[Seen]) -> list[str]:
    """The oracle: every reader saw the complete old content or the complete new content."""
    return [
        f"a reader saw {rows} rows that are neither content" for rows, total in seen if (rows, total) not in allowed
    ]


def watched(places: Places, looks: list[Look], rounds: int = 3) -> list[Seen]:
    """What readers of current see while it is swapped and brought back, some times over."""
    path = places.table(QUERY)
    with looking(path, looks) as seen:
        for _ in range(rounds):
            handover.carry_out(places, QUERY)
            asked_back(places)
            enough = len(seen) + 2 * len(looks)
            wait_for(lambda enough=enough: len(seen) >= enough, "readers have looked")
            handover.carry_out(places, QUERY)
            state = handover.read(places, QUERY)
            assert state is not None
            handover.write(places, replace(state, run=f"{state.run}+", phase="swap_wanted"))
    return seen


def contents(rows: int) -> list[Seen]:
    return [(rows, sum(1000 * generation + number for number in range(rows))) for generation in (LIVE, SHADOW)]


def test_o8_readers_see_the_old_content_or_the_new_never_a_mix_and_never_nothing(tmp_path):
    rows = 50_000
    seen = watched(made(tmp_path, rows), [by_delta_rs, by_duckdb])
    assert mixed(seen, contents(rows)) == []
    assert set(seen) == set(contents(rows)), "both were seen"


def in_two_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers empty the table, and then fill it."""
    commit = swap._commit

    def emptied_first(live: Any, names: Any, partition: Any, transactions: Any) -> None:
        commit(live, [], partition, [])
        time.sleep(1.0)
        commit(swap.Snapshot.of(live.path), names, partition, transactions)

    monkeypatch.setattr(swap, "_commit", emptied_first)


def test_o8_control_a_swap_in_two_commits_shows_a_mix_or_nothing(tmp_path, monkeypatch, control):
    rows = 3000

    def seen_with(places: Places) -> list[str]:
        return mixed(watched(places, [by_delta_rs], rounds=1), contents(rows))

    control.holds(seen_with, made(tmp_path / "one", rows))
    in_two_commits(monkeypatch)
    control.objects(seen_with, made(tmp_path / "two", rows), damage="a reader saw 0 rows")


@pytest.mark.slow
def test_o8_of_five_million_rows_spark_too_sees_one_content_or_the_other(tmp_path, spark):
    rows = 5_000_000

    def by_spark(path: str) -> Seen:
        found = spark.read.format("delta").load(path).selectExpr("count(*)", "sum(number)").first()
        assert found is not None
        return int(found[0]), int(found[1])

    seen = watched(made(tmp_path, rows), [by_delta_rs, by_duckdb, by_spark])
    assert mixed(seen, contents(rows)) == []
    assert set(seen) == set(contents(rows))


def test_a_shadow_of_another_form_is_refused_before_anything_is_linked(tmp_path):
    places = made(tmp_path)
    shadow = shadows.shadow_of(places, QUERY)
    wider = pa.table({"number": [1], "dataset": [rebuilt_lake.DATASET], "more": ["x"]})
    write_deltalake(shadow.table(QUERY), wider, mode="append", schema_mode="merge")
    with pytest.raises(UnsafeState, match="lacks a column"):
        handover.carry_out(places, QUERY)
    assert held(places.table(QUERY)) == numbers(LIVE)
