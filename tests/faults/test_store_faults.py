"""An object store that answers wrongly, late or not at all: F29. A machine that is lost with its checkpoints: F22."""

import shutil

import pyarrow as pa
import pytest
from deltalake import Schema, Transaction

from foundation.errors import TransientError, UnsafeState
from sinks.arrow_commit import append, replace_files
from sinks.removable import files_to_remove
from sinks.snapshot import Snapshot
from storage import delta, files
from storage import s3 as clients
from stream_jobs.running import guards
from tests.controls import counted
from tests.lying_store import is_commit
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations
from tests.stores import in_store, lake, liar, store

__all__ = ["in_store", "lake", "liar", "pipeline", "spark", "store"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ROWS = pa.schema([("number", pa.int64())])
TABLE = f"bronze.{DATASET}"


@pytest.fixture
def path(lake):
    address = str(lake / "silver" / "things")
    delta.create(address, Schema.from_arrow(ROWS), configuration={})
    return address


def numbers(path: str) -> list[int]:
    return sorted(
        delta.table(path).to_pyarrow_dataset(filesystem=delta.filesystem(path)).to_table()["number"].to_pylist()
    )


def rows(number: int) -> pa.Table:
    return pa.table({"number": [number]}, schema=ROWS)


@pytest.mark.parametrize(
    ("lie", "which"),
    [
        ("slow_down", is_commit),
        ("refused", is_commit),
        ("done_500", is_commit),
        ("slow_down", lambda method, path, headers: method == "GET"),
        ("cut", lambda method, path, headers: method == "GET" and ".parquet" in path),
        ("cut", lambda method, path, headers: method == "GET" and "_delta_log" in path and path.endswith(".json")),
        ("slow", lambda method, path, headers: method == "GET"),
        ("done_500", lambda method, path, headers: method == "PUT" and ".parquet" in path),
    ],
    ids=["commit-503", "commit-412", "commit-done-500", "get-503", "cut-file", "cut-log", "slow", "file-done-500"],
)
def test_f29_a_store_that_answers_wrongly_twice_loses_and_doubles_no_row(path, liar, lie, which):
    append(rows(1), path, once=Transaction("q", 1))
    first = Snapshot.of(path).files()
    liar.once(lie, which, times=2 if lie != "done_500" else 1)
    append(rows(2), path, once=Transaction("q", 2))
    replace_files(Snapshot.of(path), first, rows(3).to_reader(), once=Transaction("q", 3))

    assert numbers(path) == [2, 3]
    assert liar.told[lie] > 0


def test_f29_a_store_that_is_away_is_an_absent_dependency_whatever_was_tried(path, liar, monkeypatch):
    monkeypatch.setattr(clients, "RETRIES", 1)
    snapshot = Snapshot.of(path)
    liar.lie = lambda method, path, headers: "slow_down"
    for tried in (
        lambda: append(rows(1), path),
        lambda: replace_files(snapshot, (), rows(1).to_reader()),
        lambda: delta.table(path),
        lambda: delta.exists(path),
        lambda: files_to_remove(snapshot, []),
        lambda: files.entries(path),
        lambda: files.write(f"{path}/x", b""),
    ):
        with pytest.raises(TransientError):
            tried()


def stations_stand_once(pipeline: Pipeline) -> list[str]:
    """The oracle: bronze against Kafka, and silver against bronze, as plain clients see them."""
    bronze = pipeline.rows(TABLE)
    found = counted(((row["partition"], row["offset"]) for row in bronze), pipeline.committed(DATASET), "record")
    keys = [row["record"]["station_code"] for row in bronze]
    return found + counted((row["station_code"] for row in pipeline.rows(f"silver.{DATASET}")), set(keys), "station")


def lost_and_followed(pipeline: Pipeline, first: int) -> Pipeline:
    """A driver works, its machine is lost, records come, and a driver with an empty disk takes over."""
    pipeline.bronze_after(DATASET, stations(first, first + 5))
    pipeline.run(pipeline.silver(DATASET))
    pipeline.driver.locks.release()
    shutil.rmtree(pipeline.places.checkpoints)
    pipeline.publish(DATASET, *stations(first + 5, first + 9))

    new = Pipeline(pipeline.spark, pipeline.settings)
    new.ids = pipeline.ids
    with pytest.raises(UnsafeState, match="is lost"):
        new.run(new.bronze(DATASET))
    new.adopt(TABLE, DATASET)
    new.adopt(f"silver.{DATASET}")
    new.run(new.bronze(DATASET))
    new.run(new.silver(DATASET))
    return new


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f22_control_a_driver_with_an_empty_disk_goes_on_by_what_the_tables_say(pipeline, monkeypatch, control):
    new = lost_and_followed(pipeline, 0)
    control.holds(stations_stand_once, new)
    assert len(new.rows(TABLE)) == 9

    monkeypatch.setattr(guards, "_next_offsets", lambda *_: {})
    again = lost_and_followed(new, 9)
    again.driver.locks.release()
    control.objects(stations_stand_once, again, damage="record (0, 0) stands 2 times instead of 1")
