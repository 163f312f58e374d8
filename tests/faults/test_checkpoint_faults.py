"""Topics made anew and checkpoints damaged under a bronze query: F21, F23."""

from datetime import date
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from foundation.errors import UnsafeState
from stream_jobs.checkpoints import Checkpoint
from tests.pipeline import Pipeline, pipeline
from tests.spark_fixtures import spark

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

DATASET = "inmet_stations"
TABLE = f"bronze.{DATASET}"


def stations(first: int, last: int) -> list[dict[str, Any]]:
    return [{"station_code": f"A{n:03}", "valid_from_on": date(2024, 1, 1)} for n in range(first, last)]


def make_anew(pipeline: Pipeline, records: int) -> None:
    """Delete the topic, create it again, and publish records of other stations."""
    topic = pipeline.topic(DATASET)
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})  # must outlive the answer
    admin.delete_topics([topic])[topic].result()
    pipeline.declare_until_there(DATASET)
    pipeline.publish(DATASET, *stations(100, 100 + records))


def of_topic(pipeline: Pipeline, topic_id: str) -> list[tuple[int, int]]:
    return sorted((row["partition"], row["offset"]) for row in pipeline.rows(TABLE) if row["topic_id"] == topic_id)


@pytest.mark.parametrize("records", [2, 8], ids=["shorter", "longer"])
def test_f21_a_topic_made_anew_stops_the_query_and_adopting_reads_all_of_it(pipeline, records):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    was, version = pipeline.broker.topic_id(pipeline.topic(DATASET)), pipeline.version(TABLE)
    make_anew(pipeline, records)
    now = pipeline.broker.topic_id(pipeline.topic(DATASET))

    with pytest.raises(UnsafeState, match=f"{was}.*{now}") as refused:
        pipeline.run(job)
    assert f"correnteza checkpoint adopt {TABLE}" in refused.value.hint
    assert "restore the old topic" in refused.value.hint
    assert pipeline.version(TABLE) == version

    pipeline.adopt(TABLE, DATASET)
    pipeline.run(pipeline.bronze(DATASET))
    assert of_topic(pipeline, now) == pipeline.committed(DATASET)
    assert len(of_topic(pipeline, was)) == 5


def test_f21_control_without_the_topic_id_the_first_records_of_a_longer_topic_are_lost(pipeline, monkeypatch):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    make_anew(pipeline, 8)
    monkeypatch.setattr(Checkpoint, "_require_same_life", lambda *_: None)
    pipeline.run(job)

    now = pipeline.broker.topic_id(pipeline.topic(DATASET))
    assert of_topic(pipeline, now) != pipeline.committed(DATASET)


@pytest.mark.parametrize("file", ["offsets/0", "commits/0", "metadata"])
def test_f23_a_damaged_checkpoint_file_stops_the_query_and_adopting_goes_on(pipeline, file):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 7))
    version = pipeline.version(TABLE)
    (pipeline.checkpoint(TABLE) / file).write_text("")

    with pytest.raises(UnsafeState, match=f"{file} is damaged"):
        pipeline.run(job)
    assert pipeline.version(TABLE) == version

    pipeline.adopt(TABLE, DATASET)
    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)
