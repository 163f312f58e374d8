"""A silver dataset of plain rows with a finished shadow beside it, made without a JVM, and oracles for it."""

import json
import multiprocessing
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, Schema, Transaction, write_deltalake

from foundation import failpoints
from sinks.tables import PROPERTIES, identity
from sinks.transactions import Batch
from storage import delta, files, location
from storage.s3 import S3
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.running.checkpoints import Checkpoint, Guard
from stream_jobs.running.handover import Rebuild, carry_out, write
from stream_jobs.running.shadows import shadow_of

DATASET = "bcb_sgs"
QUERY = f"silver.{DATASET}"
TABLES = (f"{QUERY}_revisions", QUERY, QUARANTINE)
LIVE, SHADOW = 0, 1
"""Generations. Their rows are numbered from 0 and from 1000."""
ROWS = 20
BATCHES = 3

PROCESSES = multiprocessing.get_context("forkserver")
"""Each is forked from one that has imported this and started no thread: a dozen of them import once."""
PROCESSES.set_forkserver_preload([__name__])


def own(places: Places, point: str, stores: Mapping[str, S3]) -> None:
    """Do the swap or rollback that is requested, as the owner of the tables, and fail at a failure point.

    Args: stores: bucket → its store, as the caller knows them.
    """
    for bucket, store in stores.items():
        location.connect(f"s3://{bucket}", store)
    os.environ[failpoints.VARIABLE] = f"{point}:kill"
    carry_out(places, QUERY)


def numbers(generation: int) -> list[int]:
    return [1000 * generation + number for number in range(ROWS)]


def made(root: Path, rows: int = ROWS, lake: str | None = None) -> Places:
    """The lake, with the rebuild asked for. Args: lake: where it stands; None is below the root."""
    places = Places(lake or str(root / "lake"), root / "checkpoints", root / "locks")
    _fill(places, LIVE, rows)
    write_deltalake(
        delta.table(places.table(QUARANTINE)), pa.table({"number": [7], "dataset": ["inmet_hourly"]}), mode="append"
    )
    shadow = shadow_of(places, QUERY)
    _fill(shadow, SHADOW, rows)
    (shadow.checkpoint(QUERY) / "seen.json").write_text('{"generation": 1}')
    write(places, Rebuild(QUERY, "some-run", SHADOW, "swap_wanted"))
    return places


def _fill(places: Places, generation: int, rows: int) -> None:
    every = [1000 * generation + number for number in range(rows)]
    for table in TABLES:
        path = places.table(table)
        partition = ["dataset"] if table == QUARANTINE else []
        columns = pa.schema([("number", pa.int64()), ("dataset", pa.string())])
        delta.create(
            path,
            Schema.from_arrow(columns),
            partition_by=partition,
            configuration={**PROPERTIES, "delta.dataSkippingStatsColumns": "number"},
        )
        for batch in range(BATCHES):
            part = every[batch::BATCHES]
            write_deltalake(
                delta.table(path),
                pa.table({"number": part, "dataset": [DATASET] * len(part)}, columns),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[_once(table, generation, batch)]),
            )
    checkpoint = Checkpoint(QUERY, places.checkpoint(QUERY))
    tables = {table: identity(places.table(table)) for table in TABLES[:2]}
    checkpoint.begin(Guard(generation, f"query of generation {generation}", tables))
    for log in ("offsets", "commits"):
        folder = checkpoint.path(generation) / log
        folder.mkdir()
        for batch in range(BATCHES):
            (folder / str(batch)).write_text("v1\n{}\n{}")


def _once(table: str, generation: int, batch: int) -> Transaction:
    return Batch(QUERY, generation, batch).once(table.partition(".")[2])


def held(path: str, dataset: str = DATASET) -> list[int]:
    found = delta.table(path).to_pyarrow_table().to_pylist()
    return sorted(row["number"] for row in found if row["dataset"] == dataset)


def torn(places: Places, generation: int) -> list[str]:
    """The oracle: the query is of this generation, and its checkpoint and every table of it are too."""
    checkpoint = Checkpoint(QUERY, places.checkpoint(QUERY))
    guard = checkpoint.guard
    assert guard is not None
    found = [] if guard.generation == generation else [f"the guard is of generation {guard.generation}"]
    if checkpoint.last_batch(guard.generation, "commits") != BATCHES - 1:
        found.append(f"the checkpoint of generation {guard.generation} is not whole")
    for table in TABLES:
        path = places.table(table)
        if held(path) != numbers(guard.generation):
            found.append(f"{table} does not hold the rows of the guard's generation {guard.generation}")
        known = delta.table(path).transaction_version(_once(table, guard.generation, 0).app_id)
        if known != BATCHES - 1:
            found.append(f"{table} knows batch {known} of generation {guard.generation}")
        if table in guard.tables and guard.tables[table] != identity(path):
            found.append(f"the guard names another table than {table}")
    return found + ([] if held(places.table(QUARANTINE), "inmet_hourly") == [7] else ["another dataset was touched"])


def commits(path: str, words: Iterable[str]) -> int:
    """How many commits of a table bear all of these words."""
    log = location.location(path) / "_delta_log"
    wanted = [word.encode() for word in words]
    entries = (files.read(log / name) for name in files.names(log) if name.endswith(".json"))
    return sum(all(word in entry for word in wanted) for entry in entries)


def state(places: Places) -> dict[str, object]:
    text = (places.checkpoints / "rebuild" / QUERY / "state.json").read_text()
    return dict(json.loads(text))
