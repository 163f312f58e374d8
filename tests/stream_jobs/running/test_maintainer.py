"""The driver's rounds over its tables, without its queries."""

from pathlib import Path

import pytest
from deltalake import DeltaTable

from stream_jobs.places import Places
from stream_jobs.running import maintained_tables, maintainer
from stream_jobs.running.maintainer import Maintainer
from stream_jobs.running.maintenance_lock import MaintenanceLock
from tests.helpers import wait_for
from tests.sinks import delta_tables
from tests.sinks.delta_tables import add, age, numbers

BRONZE, SILVER, GOLD = "bronze.bcb_sgs", "silver.bcb_sgs", "gold.fact_economic_observation"
FILES = 20


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A table of each layer, with as many files as rows; what an attempt has left in silver a week ago."""
    made = Places(str(tmp_path / "lake"), tmp_path / "checkpoints", tmp_path / "locks")
    for table in (BRONZE, SILVER, GOLD):
        delta_tables.made(made.table(table))
        for number in range(FILES):
            add(made.table(table), number)
    left = Path(made.table(SILVER)) / "part-left.parquet"
    left.write_bytes(b"rows")
    age(left.parent, 8)
    return made


def maintained(places: Places, lock: MaintenanceLock | None = None, every: float = 3600) -> Maintainer:
    return Maintainer(places, {BRONZE: None, SILVER: lock or MaintenanceLock(), GOLD: MaintenanceLock()}, every=every)


def files(places: Places) -> dict[str, int]:
    """Files per table; none of them has lost a row."""
    paths = {table: places.table(table) for table in (BRONZE, SILVER, GOLD)}
    assert all(numbers(path) == list(range(FILES)) for path in paths.values())
    return {table: len(DeltaTable(path).file_uris()) for table, path in paths.items()}


def test_a_round_keeps_every_table_small(places):
    maintained(places).round()
    assert files(places) == {BRONZE: 1, SILVER: 1, GOLD: 1}
    assert not (Path(places.table(SILVER)) / "part-left.parquet").exists()


def test_a_table_whose_query_is_busy_is_compacted_later_and_cleaned_now(places, monkeypatch):
    monkeypatch.setattr(maintainer, "WAIT_SECONDS", 0)
    lock = MaintenanceLock()
    every = maintained(places, lock)
    with lock.batch():
        every.round()
    assert files(places) == {BRONZE: 1, SILVER: FILES, GOLD: 1}
    assert not (Path(places.table(SILVER)) / "part-left.parquet").exists()
    every.round()
    assert files(places)[SILVER] == 1


def test_a_failure_concerns_its_table_alone(places, monkeypatch):
    look = maintained_tables.look

    def failing(table, *arguments, **named):
        if table == BRONZE:
            raise OSError("the disk is away")
        return look(table, *arguments, **named)

    monkeypatch.setattr(maintained_tables, "look", failing)
    maintained(places).round()
    assert files(places) == {BRONZE: FILES, SILVER: 1, GOLD: 1}


def test_a_round_that_ran_out_of_time_is_gone_on_with_by_the_next(places, monkeypatch):
    """Each round has time for one table."""
    clock = iter(range(1000))
    monkeypatch.setattr(maintainer.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(maintainer, "budget", lambda seconds: next(clock) + (1 if seconds == 300 else 1e6))
    every = maintained(places)
    compacted = []
    for _ in range(3):
        before = files(places)
        every.round()
        compacted.append([table for table, count in files(places).items() if count < before[table]])
    assert compacted == [[BRONZE], [SILVER], [GOLD]]


def test_once_it_is_stopped_nothing_is_replaced_any_more(places, monkeypatch):
    every = maintained(places)
    tidy = maintainer.tidy

    def stopped_meanwhile(*arguments, **named):
        every.stop()
        return tidy(*arguments, **named)

    monkeypatch.setattr(maintainer, "tidy", stopped_meanwhile)
    every.round()
    assert files(places) == {BRONZE: FILES, SILVER: FILES, GOLD: FILES}


def test_the_thread_continues_after_a_round_that_failed_whole_and_ends_when_stopped(places, monkeypatch):
    failures = [OSError("no such folder")]

    def listed(places: Places) -> list[str]:
        if failures:
            raise failures.pop()
        return maintained_tables.existing_tables(places)

    monkeypatch.setattr(maintainer, "existing_tables", listed)
    every = maintained(places, every=0.05)
    every.start()
    wait_for(lambda: files(places) == {BRONZE: 1, SILVER: 1, GOLD: 1}, "the second round is done")
    every.stop()
    assert not every._thread.is_alive()
