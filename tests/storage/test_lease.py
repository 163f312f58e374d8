"""One driver owns a table in a store: others are refused until its heartbeats have stopped."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pyarrow as pa
import pytest
from deltalake import Schema

from foundation.errors import UnsafeState
from sinks import commit, locks
from sinks.arrow_commit import append
from storage import delta, files, lease
from storage.lease import Leases, TakenError
from tests.controls import complaint, counted
from tests.helpers import PATIENCE_SECONDS, wait_for
from tests.lying_store import is_commit

TABLE = "silver.things"
ROWS = pa.schema([("number", pa.int64())])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Leases of a second, so that a test need not wait half a minute for a killed driver."""
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 1.5)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.1)


@pytest.fixture
def unexpired(monkeypatch):
    """Where every driver sends heartbeats, a lease does not expire, however slow store and machine are."""
    monkeypatch.setattr(lease, "EXPIRY_SECONDS", 60.0)


@pytest.fixture
def path(lake):
    address = str(lake / "silver" / "things")
    delta.create(address, Schema.from_arrow(ROWS), configuration={})
    return address


def without_heartbeats(of: Leases) -> None:
    """A driver that stands still: its heartbeat stops, and what it holds stays noted. Not of this machine."""
    of._stop.set()
    assert of._beats is not None
    of._beats.join()
    of._beats = None
    files.write(of._heartbeat(of.driver), json.dumps({"pid": 1, "host": "elsewhere", "beat": 7}).encode())


@pytest.mark.usefixtures("unexpired")
def test_of_several_drivers_one_gets_the_table_and_the_others_get_its_name(lake):
    drivers = [Leases(lake) for _ in range(6)]
    with ThreadPoolExecutor(len(drivers)) as pool:
        said = list(pool.map(lambda each: complaint(lambda: each.acquire(TABLE)), drivers))
    assert sorted(map(len, said)) == [0] + [1] * 5
    assert all("TakenError: process" in text for words in said for text in words)
    for each in drivers:
        each.release()


def test_a_table_that_was_let_go_is_free_at_once_and_its_token_grows(lake):
    first, second = Leases(lake), Leases(lake)
    first.acquire(TABLE)
    first.acquire(TABLE)
    first.release()
    second.acquire(TABLE)
    assert second.token(TABLE) == 2
    second.require(TABLE)
    with pytest.raises(UnsafeState, match="another driver's now"):
        first.require(TABLE)
    second.release()


def test_a_driver_without_heartbeats_for_long_enough_loses_its_table_and_may_not_write(lake, path):
    ours = locks.leases_of(str(lake))
    locks.lease(ours, TABLE)
    append(pa.table({"number": [1]}, schema=ROWS), path)
    without_heartbeats(ours)

    other = Leases(lake)
    other.acquire(TABLE)
    with pytest.raises(UnsafeState, match="another driver's now") as lost:
        append(pa.table({"number": [2]}, schema=ROWS), path)
    assert lost.value.exit_code == 3
    assert delta.table(path).to_pyarrow_table()["number"].to_pylist() == [1]
    ours.release()
    other.require(TABLE)
    other.release()


def test_control_a_silent_driver_is_waited_for_once_and_not_once_per_table(lake, monkeypatch, control):
    tables = [f"silver.things{number}" for number in range(5)]
    owner = Leases(lake)
    for each in tables:
        owner.acquire(each)
    without_heartbeats(owner)
    waited: list[float] = []
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: sum(waited), sleep=waited.append))

    def too_long(remembers: bool) -> list[str]:
        """The oracle: what taking all tables of a silent driver took; the taker is the next silent one."""
        waited.clear()
        taker = Leases(lake)
        for each in tables:
            taker.acquire(each)
            taker._silent = taker._silent if remembers else {}
        without_heartbeats(taker)
        return [] if sum(waited) < 2 * lease.EXPIRY_SECONDS else [f"{sum(waited):.1f} s were waited for one driver"]

    control.holds(too_long, True)
    control.objects(too_long, False, damage="were waited for one driver")


def test_a_driver_that_was_silent_and_beats_again_keeps_what_nobody_took(lake, monkeypatch):
    first, other = Leases(lake), Leases(lake)
    first.acquire(TABLE)
    first.acquire("silver.more")
    without_heartbeats(first)
    other.acquire(TABLE)

    beats = iter(range(8, 1000))

    def beat(_: float = 0) -> None:
        content = {"pid": 1, "host": "elsewhere", "beat": next(beats)}
        files.write(first._heartbeat(first.driver), json.dumps(content).encode())

    beat()
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=time.monotonic, sleep=beat))
    with pytest.raises(TakenError, match="elsewhere"):
        other.acquire("silver.more")
    other.release()


@pytest.mark.usefixtures("unexpired")
def test_a_store_that_is_away_for_a_while_costs_heartbeats_and_not_the_table(lake, liar):
    place = locks.location(str(lake))
    ours = Leases(place)
    ours.acquire(TABLE)
    missed = threading.Event()
    liar.lie = lambda method, path, headers: missed.set() or "slow_down" if "/drivers/" in path else None
    assert missed.wait(PATIENCE_SECONDS)
    liar.lie = lambda method, path, headers: None
    ours.require(TABLE)
    with pytest.raises(TakenError):
        Leases(place).acquire(TABLE)
    ours.release()


def test_a_store_that_is_away_at_a_driver_s_end_is_asked_once_and_every_table_is_free_afterwards(lake, liar):
    place, tables = locks.location(str(lake)), ["silver.a", "silver.b", "silver.c"]
    ours = Leases(place)
    for table in tables:
        ours.acquire(table)
    asked = set()
    liar.lie = lambda method, path, headers: asked.add(path) or "slow_down" if "/_locks/silver." in path else None
    ours.release()
    assert len(asked) == 1
    liar.lie = lambda method, path, headers: None
    successor = Leases(place)
    for table in tables:
        successor.acquire(table)
    successor.release()


def numbers_stand_once(path: str, expected: list[int]) -> list[str]:
    """The oracle: the rows that the log brought, version by version, as a stream reads them."""
    folder = locks.location(path) / "_delta_log"
    log = [json.loads(line) for name in files.names(folder) for line in files.read(folder / name).splitlines()]
    added = [action["add"]["path"] for action in log if "add" in action]
    rows = delta.table(path).to_pyarrow_table()["number"].to_pylist()
    return counted(rows, expected, "number") + counted(added, set(added), "file")


def test_control_between_the_check_and_the_commit_the_fence_refuses_a_driver_that_lost_the_table(
    lake, path, monkeypatch, control
):
    """The driver stands still after it has looked; another takes the table, reads the same input, and writes it."""

    def taken_over(number: int) -> None:
        ours = locks.leases_of(str(lake))
        locks.lease(ours, TABLE)
        other = Leases(lake)

        def stands_still(point: str) -> None:
            monkeypatch.setattr(commit, "failpoint", lambda point: None)
            without_heartbeats(ours)
            other.acquire(TABLE)
            with monkeypatch.context() as theirs:
                theirs.setattr(commit, "fence_of", lambda path: (other, TABLE, other.token(TABLE)))
                append(pa.table({"number": [number]}, schema=ROWS), path)

        monkeypatch.setattr(commit, "failpoint", stands_still)
        said = complaint(lambda: append(pa.table({"number": [number]}, schema=ROWS), path))
        other.release()
        ours.release()
        assert not said or "another driver's now" in said[0]

    taken_over(1)
    control.holds(numbers_stand_once, path, [1])
    plain = commit._commit
    monkeypatch.setattr(commit, "_commit", lambda table, actions, marks: plain(table, actions, []))
    taken_over(2)
    control.objects(numbers_stand_once, path, [1, 2], damage="number 2 stands 2 times instead of 1")


def test_f29_control_a_commit_that_was_made_and_answered_with_an_error_is_not_made_again(
    path, liar, monkeypatch, control
):
    def answered_500(number: int) -> None:
        liar.once("done_500", is_commit)
        append(pa.table({"number": [number]}, schema=ROWS), path)
        assert liar.told["done_500"] == number

    answered_500(1)
    control.holds(numbers_stand_once, path, [1])
    monkeypatch.setattr(commit, "_commit", lambda table, actions, marks: _without_an_id(table, actions))
    answered_500(2)
    control.objects(numbers_stand_once, path, [1, 2], damage="stands 2 times instead of 1")


def _without_an_id(table, actions):
    table.create_write_transaction(list(actions), mode="append", schema=table.schema(), partition_by=[])


@pytest.mark.usefixtures("unexpired")
def test_a_refused_driver_sends_no_heartbeats_and_one_that_takes_its_table_again_does(lake):
    ours, other = Leases(lake), Leases(lake)
    ours.acquire(TABLE)
    with pytest.raises(TakenError):
        other.acquire(TABLE)
    wait_for(lambda: not files.exists(other._heartbeat(other.driver)), "a heartbeat without a table ends")

    for _ in range(5):
        former = ours._beats
        ours.release()
        ours.acquire(TABLE)
        former.join()
        assert files.exists(ours._heartbeat(ours.driver))
    ours.release()
    wait_for(lambda: not files.exists(ours._heartbeat(ours.driver)), "the heartbeat ends with the last table")
