"""A driver that maintains its tables beside its queries: killed in the middle of it, failing at it, owning them."""

import json
import os
import signal
import time
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from sinks.snapshot import Snapshot
from tests.controls import counted
from tests.helpers import wait_for
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(2000)]

BRONZE, REVISIONS = f"bronze.{DATASET}", f"silver.{DATASET}_revisions"
FILES = 20
DEADLINE = 600
"""Seconds. A driver makes the tables of thirteen queries before its first round: minutes, where the machine is busy."""
OFTEN = {"CORRENTEZA_SILVER_INTERVAL_SECONDS": "1", "CORRENTEZA_MAINTENANCE_INTERVAL_SECONDS": "1"}


def scatter(path: str) -> None:
    """Each row of a table into a file of its own, as that many batches would have left them."""
    snapshot = Snapshot.of(path)
    actions: list[AddAction | RemoveAction] = []
    for name in snapshot.files():
        rows = pq.read_table(f"{path}/{name}", partitioning=None)
        for number in range(rows.num_rows):
            file = Path(path) / f"part-{uuid4()}.parquet"
            pq.write_table(rows.slice(number, 1), file, store_schema=False)
            stats = json.dumps({"numRecords": 1})
            actions.append(AddAction(file.name, file.stat().st_size, {}, int(time.time() * 1000), False, stats))
        actions.append(RemoveAction(quote(name, safe="/="), False, int(time.time() * 1000)))
    snapshot.table.create_write_transaction(actions, mode="append", schema=snapshot.table.schema(), partition_by=[])


def scattered(pipeline: Pipeline) -> str:
    """Silver with a file per revision; its locks are free."""
    pipeline.bronze_after(DATASET, stations(0, FILES))
    pipeline.run(pipeline.silver(DATASET))
    pipeline.driver.locks.release()
    scatter(pipeline.places.table(REVISIONS))
    assert files(pipeline) == FILES
    return pipeline.places.table(REVISIONS)


def files(pipeline: Pipeline) -> int:
    return len(DeltaTable(pipeline.places.table(REVISIONS)).file_uris())


def revisions(pipeline: Pipeline, last: int) -> list[str]:
    """The oracle: each station has one revision."""
    expected = [row["station_code"] for row in stations(0, last)]
    return counted((row["station_code"] for row in pipeline.rows(REVISIONS)), expected, "station")


@pytest.mark.parametrize("point", ["compaction_written", "compaction_committed"])
def test_a_driver_killed_in_the_midst_of_maintenance_leaves_the_table_as_it_was_or_compacted(
    pipeline, cli_process, point
):
    """The successor goes on with both, its queries and the maintenance."""
    scattered(pipeline)
    killed = cli_process("run", "silver", CORRENTEZA_FAILPOINT=f"{point}:kill", **OFTEN)
    assert killed.wait(timeout=DEADLINE) == -signal.SIGKILL, killed.said
    assert files(pipeline) == (FILES if point == "compaction_written" else 1)
    assert revisions(pipeline, FILES) == []

    pipeline.publish(DATASET, *stations(FILES, FILES + 5))
    pipeline.run(pipeline.bronze(DATASET))
    pipeline.driver.locks.release()
    driver = cli_process("run", "silver", **OFTEN)
    wait_for(lambda: not revisions(pipeline, FILES + 5) and files(pipeline) == 2, "rows come and files go", DEADLINE)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(timeout=DEADLINE) == 0, driver.said
    assert pipeline.contradictions(DATASET, without=("manifests = rows",)) == {}


def test_maintenance_that_fails_is_put_off_and_the_queries_go_on(pipeline, cli_process):
    scattered(pipeline)
    driver = cli_process("run", "silver", CORRENTEZA_FAILPOINT="maintenance_begins:raise", **OFTEN)
    wait_for(lambda: driver.said.count("maintenance_put_off") > 1 or driver.poll(), "it fails twice", DEADLINE)
    pipeline.publish(DATASET, *stations(FILES, FILES + 5))
    pipeline.run(pipeline.bronze(DATASET))
    wait_for(lambda: not revisions(pipeline, FILES + 5) or driver.poll(), "rows come", DEADLINE)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(timeout=DEADLINE) == 0, driver.said
    assert files(pipeline) == FILES + 1


def test_a_table_that_a_driver_writes_is_left_to_it_and_maintained_by_hand_once_it_is_gone(pipeline, cli_process, cli):
    scattered(pipeline)
    driver = cli_process("run", "silver")
    wait_for(lambda: "driver_ready" in driver.said or driver.poll(), "the driver runs", DEADLINE)
    refused = cli("maintain", REVISIONS)
    assert refused.returncode == 3
    assert f"silver.{DATASET} is being written by process {driver.pid}" in refused.stderr
    assert "it does the same every hour" in refused.stderr
    assert json.loads(cli("maintain", REVISIONS, "--dry-run", "--json").stdout)["tables"][0]["would_compact"] == FILES
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(timeout=DEADLINE) == 0, driver.said

    assert files(pipeline) == FILES
    done = cli("maintain", REVISIONS)
    assert (done.returncode, files(pipeline)) == (0, 1), done.stderr
    assert f"{REVISIONS}: {FILES} files became 1" in done.stdout
    assert revisions(pipeline, FILES) == []
