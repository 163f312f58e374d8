"""A run to the end starts a query only where there is something to read, and where a start would be refused."""

import shutil
from datetime import date
from threading import Event
from typing import Any

import pytest

from foundation.errors import UnsafeState
from schemas.contracts import load_all
from sinks import tables
from stream_jobs.running import driver as module
from stream_jobs.running.driver import StreamDriver
from stream_jobs.running.jobs import AbsentTopicError
from stream_jobs.running.unread import topics_now

DATASET = "inmet_stations"


def station(number: int) -> dict[str, Any]:
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1)}


def bronze_has_unread(pipeline: Any, job: Any) -> bool:
    return job.has_unread(topics_now(pipeline.broker, [job.topic])[job.topic])


def test_unread_is_what_is_not_committed(pipeline):
    pipeline.declare(DATASET)
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    assert not bronze_has_unread(pipeline, bronze)
    assert not silver.has_unread()
    assert not tables.exists(pipeline.places.table(f"bronze.{DATASET}"))  # asking makes nothing

    for first in (1, 3):
        pipeline.publish(DATASET, station(first), station(first + 1))
        assert bronze_has_unread(pipeline, bronze)
        pipeline.run(bronze)
        assert not bronze_has_unread(pipeline, bronze)
        assert silver.has_unread()
        pipeline.run(silver)
        assert not silver.has_unread()
    assert len(pipeline.rows(f"silver.{DATASET}")) == 4


def test_a_batch_that_did_not_end_is_unread(pipeline):
    pipeline.publish(DATASET, station(1))
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    pipeline.run(bronze, silver)
    for query in (bronze.name, silver.name):
        (pipeline.checkpoint(query) / "commits" / "0").unlink()

    assert bronze_has_unread(pipeline, bronze)
    assert silver.has_unread()


def test_what_a_start_would_refuse_is_refused_though_nothing_is_new(pipeline):
    """Else a lost checkpoint would be noticed only with the next record."""
    pipeline.publish(DATASET, station(1))
    bronze, silver = pipeline.bronze(DATASET), pipeline.silver(DATASET)
    pipeline.run(bronze, silver)
    (pipeline.checkpoint(silver.name) / "offsets" / "0").write_text("v1")
    with pytest.raises(UnsafeState, match="damaged"):
        silver.has_unread()

    shutil.rmtree(pipeline.places.checkpoint(bronze.name))
    assert bronze_has_unread(pipeline, bronze)  # so it starts, and its guard judges
    with pytest.raises(UnsafeState, match="lost"):
        pipeline.run(bronze)


def test_a_topic_that_does_not_exist_is_left_out_of_many_and_named_alone(pipeline):
    assert topics_now(pipeline.broker, ["absent.v1"]) == {}
    with pytest.raises(AbsentTopicError, match=r"absent\.v1 does not exist"):
        pipeline.broker.topic_id("absent.v1")


def test_a_run_to_the_end_starts_only_queries_with_unread_rows(pipeline, monkeypatch):
    """Of all the tables there are, one topic holds records: three queries run, and a second run starts none."""
    pipeline.declare(*load_all())
    pipeline.publish(DATASET, station(1))
    started: list[str] = []
    bring = module.bring_up_to_date
    monkeypatch.setattr(
        module,
        "bring_up_to_date",
        lambda jobs, **rest: (started.extend(job.name for job in jobs), bring(jobs, **rest))[1],
    )

    def run() -> dict[str, int]:
        driver = StreamDriver(pipeline.spark, pipeline.places, broker=pipeline.broker, registry=pipeline.registry)
        return {query: rows for stage in driver.run_once(Event()) for query, rows in stage.rows.items()}

    rows = run()
    assert started[:2] == [f"bronze.{DATASET}", f"silver.{DATASET}"]
    assert {name.partition(".")[0] for name in started[2:]} == {"gold"}
    assert rows["gold.dim_weather_station"] == 1
    assert rows["bronze.ingest_rejects"] == 0

    started.clear()
    assert set(run().values()) == {0}
    assert started == []
