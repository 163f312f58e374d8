"""Who reads a table, and from where on: by checkpoints as Spark leaves them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from sinks import tables
from sinks.removable import Reader
from stream_jobs.places import Places
from stream_jobs.running import inputs
from stream_jobs.running.checkpoints import Checkpoint, Found
from stream_jobs.running.maintained_tables import Owned, existing_tables, lock_of, owned, policy_of
from stream_jobs.running.maintenance_lock import MaintenanceLock
from stream_jobs.running.readers import Readers
from tests.sinks import delta_tables

BRONZE, OTHER = "bronze.bcb_sgs", "bronze.inmet_stations"
SILVER = "silver.bcb_sgs"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Two tables of bronze."""
    made = Places(str(tmp_path / "lake"), tmp_path / "checkpoints", tmp_path / "locks")
    for table in (BRONZE, OTHER):
        delta_tables.made(made.table(table))
    return made


def offset(places: Places, table: str, version: int, *, first: bool = False) -> str:
    identity = DeltaTable(places.table(table)).metadata().id
    return json.dumps({"reservoirId": identity, "reservoirVersion": version, "index": 0, "isStartingVersion": first})


def begun(places: Places, query: str) -> Checkpoint:
    checkpoint = Checkpoint(query, places.checkpoint(query))
    checkpoint.open(Found({}, has_rows=False))
    return checkpoint


def batch(checkpoint: Checkpoint, number: int, *offsets: str, ended: bool = True) -> None:
    """A batch that was planned up to these offsets."""
    guard = checkpoint.guard
    assert guard is not None
    for log, text in (("offsets", "\n".join(["v1", "{}", *offsets])), ("commits", "v1\n{}")):
        if log == "offsets" or ended:
            file = checkpoint.path(guard.generation) / log / str(number)
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)


def of(places: Places, table: str, query: str) -> list[Reader]:
    identity = tables.identity(places.table(table))
    return [reader for reader in Readers(places, inputs.declared()).of(table, identity) if reader.query == query]


def test_a_reader_stands_where_its_last_finished_batch_began(places):
    """Spark plans that batch once more at the next start."""
    checkpoint = begun(places, SILVER)
    batch(checkpoint, 0, offset(places, BRONZE, 3, first=True), "-")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 3, is_snapshot=True)]
    batch(checkpoint, 1, offset(places, BRONZE, 5), "-")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 3, is_snapshot=True)]
    batch(checkpoint, 2, offset(places, BRONZE, 9), "-")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 5)]
    batch(checkpoint, 3, offset(places, BRONZE, 11), "-", ended=False)
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 5)]


def test_a_first_batch_that_read_all_there_was_listed_the_version_before_its_end(places):
    checkpoint = begun(places, SILVER)
    batch(checkpoint, 0, offset(places, BRONZE, 4), "-")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 3, is_snapshot=True)]


def test_a_declared_reader_that_has_not_begun_may_need_everything_and_so_may_one_whose_guard_is_damaged(places):
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    assert of(places, OTHER, SILVER) == []
    checkpoint = begun(places, SILVER)
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    batch(checkpoint, 0, offset(places, BRONZE, 3), ended=False)
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    batch(checkpoint, 0, offset(places, BRONZE, 3))
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, 2, is_snapshot=True)]
    (checkpoint.path(0) / "offsets" / "0").write_text("v1\n{}\n{")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    (checkpoint.path(0) / "offsets" / "0").unlink()
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    (checkpoint.folder / "guard.json").write_text("{")
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]


def test_the_present_life_counts_and_the_table_as_it_was_made(places):
    checkpoint = begun(places, SILVER)
    batch(checkpoint, 0, offset(places, BRONZE, 3))
    guard = checkpoint.guard
    assert guard is not None
    checkpoint.begin(replace(guard, generation=guard.generation + 1))
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]
    batch(checkpoint, 0, offset(places, OTHER, 7))
    assert of(places, BRONZE, SILVER) == [Reader(SILVER, None)]  # it read a table that stood there before


def test_a_query_that_is_declared_no_more_counts_until_its_checkpoint_is_gone(places):
    checkpoint = begun(places, "gold.abandoned")
    batch(checkpoint, 0, offset(places, BRONZE, 2))
    assert of(places, BRONZE, "gold.abandoned") == [Reader("gold.abandoned", 1, is_snapshot=True)]
    assert of(places, OTHER, "gold.abandoned") == []


def test_gold_reads_the_revisions_of_its_inputs():
    found = inputs.declared()
    assert "silver.bcb_sgs_revisions" in found["gold.fact_economic_observation"]
    assert found[SILVER] == (BRONZE, "bronze.ingest_withdrawals")
    assert "gold.dim_date" not in found


def test_a_driver_maintains_what_its_queries_write_and_locks_what_nobody_owns(places):
    there = [BRONZE, SILVER, f"{SILVER}_revisions", "silver.quarantine", "gold.dim_date", "gold.other", "ops.gaps"]
    silver, other = MaintenanceLock(), MaintenanceLock()
    assert owned({BRONZE: None, SILVER: silver, "silver.other": other, "gold.dim_date": None}, there) == [
        Owned(BRONZE),
        Owned(SILVER, (silver,)),
        Owned(f"{SILVER}_revisions", (silver,)),
        Owned("silver.quarantine", (silver, other)),
        Owned("gold.dim_date"),
        Owned("ops.gaps", is_shared=True),
    ]
    assert owned({BRONZE: None}, there) == [Owned(BRONZE), Owned("ops.gaps", is_shared=True)]


def test_each_layer_has_its_policy_and_each_table_its_lock(places):
    assert existing_tables(places) == [BRONZE, OTHER]
    assert policy_of(BRONZE).closed_days
    assert not policy_of(SILVER).closed_days
    assert (lock_of(f"{SILVER}_revisions"), lock_of("gold.some_revisions")) == (SILVER, "gold.some_revisions")
