"""Faults of Spark and Delta that the pipeline works around: each is reproduced, so that an upgrade that changes one is
noticed (ENGINE.md, sections 6 and 7).

Elsewhere: hostile lengths (6.1) in test_stream_faults.py; a batch that is repeated after a crash (6.2) in
tests/stream_jobs/bronze/test_job.py; a topic recreated (6.4) in test_checkpoint_faults.py; the lock that outlives a
killed Python (6.6) in test_stream_faults.py.
"""

from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from sinks.transactions import Batch
from stream_jobs.running.checkpoints import Checkpoint
from tests import silver_oracles
from tests.helpers import wait_for
from tests.pipeline import pipeline
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

REVISIONS = f"silver.{DATASET}_revisions"


def test_spark_commits_no_group_offsets_so_lag_comes_from_the_checkpoint(pipeline):
    pipeline.bronze_after(DATASET, stations(0, 5))
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
    assert not [group for group in groups if group.startswith("spark-kafka-source")]
    checkpoint = pipeline.bronze(DATASET)._checkpoint
    assert checkpoint.position(checkpoint.guard) == {0: 5}


def test_a_query_can_be_stopped_in_the_midst_of_a_batch_that_fails_with_a_long_trace(pipeline, monkeypatch, capfd):
    """Spark matches a regular expression against the whole trace, which overflows its stack if that is long."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    job = pipeline.silver(DATASET)

    def fail(batch: Any, batch_id: int, depth: int = 300) -> None:
        if depth:
            fail(batch, batch_id, depth - 1)
        raise RuntimeError("word " * 10_000)

    monkeypatch.setattr(job._batches, "work", fail)
    query = job.start({"processingTime": "1 second"})
    wait_for(lambda: job.failure is not None, "the batch fails")
    query.stop()
    assert len(str(job.failure)) < 1000
    assert not query.isActive
    assert "StackOverflowError" not in capfd.readouterr().err
    monkeypatch.undo()
    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == 5


def restored(pipeline: Any) -> None:
    """Silver has read all, and its table is put back to the version before."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.run(pipeline.silver(DATASET))
    pipeline.publish(DATASET, *stations(5, 7))
    pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == 7
    put_back(pipeline, 5)


def put_back(pipeline: Any, rows: int) -> None:
    """RESTORE the revisions to the newest version that had so many rows."""
    path = pipeline.places.table(REVISIONS)
    newest = pipeline.version(REVISIONS)
    counts = {at: DeltaTable(path, version=at).to_pyarrow_table().num_rows for at in range(newest + 1)}
    before = max(at for at, count in counts.items() if count == rows)
    pipeline.spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF {before}")
    assert len(pipeline.rows(REVISIONS)) == rows


def test_after_a_restore_a_new_generation_writes_again_what_the_old_one_had_written(pipeline):
    restored(pipeline)
    pipeline.adopt(f"silver.{DATASET}")
    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(REVISIONS)) == 7


def test_control_under_the_old_generation_a_restored_table_skips_the_batches_as_written(pipeline, monkeypatch, control):
    """Transaction ids survive RESTORE: the table says that it has them, and does not have their rows."""
    lake = pipeline.settings.lake_root
    restored(pipeline)
    pipeline.adopt(f"silver.{DATASET}")
    pipeline.run(pipeline.silver(DATASET))
    control.holds(silver_oracles.silver_follows, lake, DATASET)

    put_back(pipeline, 5)
    pipeline.adopt(f"silver.{DATASET}")
    monkeypatch.setattr(Batch, "app_id", _of_the_first_generation(Batch.app_id))
    # The guard would see it: the table has batches of this life that the checkpoint has not.
    monkeypatch.setattr(Checkpoint, "_require_sound_files", lambda *_: None)
    pipeline.run(pipeline.silver(DATASET))
    control.objects(silver_oracles.silver_follows, lake, DATASET, damage="is not what bronze gives")


def _of_the_first_generation(app_id: Any) -> Any:
    def same(batch: Batch, table: str) -> str:
        return str(app_id(replace(batch, generation=0), table))

    return same
