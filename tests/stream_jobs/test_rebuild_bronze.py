"""Bronze filled again by its own job: from Kafka, and with what the table alone still has; deleted by hand; beside
silver."""

import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from correnteza import rebuilding
from foundation.errors import UnsafeState
from storage import files
from stream_jobs.rebuild import bronze, plan, run
from stream_jobs.running import handover
from tests.stations import DATASET, stations

TABLE, SILVER = f"bronze.{DATASET}", f"silver.{DATASET}"
NOT_OF_A_SOURCE = ("manifests = rows", "payload = published + rejected")


def rebuilt(pipeline: Any, *queries: str, accept: bool = False) -> list[str]:
    """The output of a rebuild."""
    lines: list[str] = []
    this = run.latest(pipeline.places)
    if this is None or run.is_finished(pipeline.places, this):
        this = run.begin(pipeline.places, queries)
    rebuilding.resume(
        pipeline.places,
        this,
        spark=pipeline.spark.newSession,
        accept=accept,
        say=lines.append,
        stop=threading.Event(),
        kafka=bronze.Kafka(pipeline.broker, pipeline.registry),
    )
    return lines


def expire(pipeline: Any, until: int) -> None:
    """Kafka's retention takes the records of the only partition below an offset."""
    place = TopicPartition(pipeline.topic(DATASET), 0, until)
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    admin.delete_records([place])[place].result()


def filled(pipeline: Any) -> tuple[Any, Any]:
    """Bronze and silver have twelve stations, in two batches; of these Kafka holds the last seven."""
    jobs = pipeline.bronze_after(DATASET, stations(0, 8)), pipeline.silver(DATASET)
    pipeline.run(jobs[1])
    pipeline.publish(DATASET, *stations(8, 12))
    pipeline.run(*jobs)
    pipeline.driver.locks.release()
    expire(pipeline, 5)
    return jobs


def codes(pipeline: Any, table: str = SILVER) -> list[str]:
    return sorted(row["station_code"] for row in pipeline.rows(table))


def wrong(pipeline: Any) -> dict[str, list[str]]:
    return dict(pipeline.contradictions(DATASET, without=NOT_OF_A_SOURCE))


def test_a_rebuilt_table_is_equal_keeps_what_kafka_has_lost_and_silver_goes_on(pipeline):
    filled(pipeline)
    before, version = pipeline.rows(TABLE), pipeline.version(TABLE)
    lines = rebuilt(pipeline, TABLE)
    assert f"{TABLE}: 12 rows, the same as in the live table" in lines
    assert pipeline.version(TABLE) == version + 1, "one commit"
    assert pipeline.offsets(TABLE) == [(row["partition"], row["offset"]) for row in sorted(before, key=by_offset)]
    assert sorted(pipeline.rows(TABLE), key=by_offset) == sorted(before, key=by_offset)

    silver = pipeline.silver(DATASET)
    assert pipeline.run(silver) == {SILVER: 0}, "the swap is no row to silver"
    pipeline.publish(DATASET, *stations(12, 15))
    job = pipeline.bronze(DATASET)
    assert pipeline.run(job, silver) == {TABLE: 3, SILVER: 3}
    assert job._guard.generation == 1
    assert wrong(pipeline) == {}
    pipeline.driver.locks.release()

    assert run.roll_back(pipeline.places, run.require(pipeline.places)) == [TABLE]
    assert len(pipeline.rows(TABLE)) == 12
    job = pipeline.bronze(DATASET)
    pipeline.run(job, silver)
    assert job._guard.generation == 0
    assert len(codes(pipeline)) == len(pipeline.rows(TABLE)) == 15
    assert wrong(pipeline) == {}


def by_offset(row: dict[str, Any]) -> int:
    return int(row["offset"])


def test_control_without_what_the_table_alone_has_its_rebuilt_content_is_not_swapped_in(pipeline, monkeypatch, control):
    filled(pipeline)

    def lost_by_a_rebuild() -> list[str]:
        try:
            rebuilt(pipeline, TABLE)
        except UnsafeState:
            found = (pipeline.places.checkpoints / "rebuild" / TABLE / "differences.json").read_text()
            run.abandon(pipeline.places, run.require(pipeline.places))
            return [line.strip() for line in found.splitlines() if "stand only in the live table" in line]
        return []

    control.holds(lost_by_a_rebuild)
    monkeypatch.setattr(bronze, "copy_from_live", lambda *given: 0)
    control.objects(lost_by_a_rebuild, damage="5 rows stand only in the live table")
    assert len(pipeline.rows(TABLE)) == 12


def test_a_table_deleted_by_hand_comes_back_and_silver_follows_from_it_again(pipeline):
    pipeline.run(pipeline.bronze_after(DATASET, stations(0, 8)), pipeline.silver(DATASET))
    pipeline.driver.locks.release()
    places, before = pipeline.offsets(TABLE), codes(pipeline)
    files.remove_tree(pipeline.places.table(TABLE))
    assert wrong(pipeline) != {}

    assert plan.downstream([TABLE])[0] == SILVER
    rebuilt(pipeline, TABLE, SILVER)
    assert pipeline.offsets(TABLE) == places
    assert codes(pipeline) == before
    pipeline.publish(DATASET, *stations(8, 10))
    assert pipeline.run(pipeline.bronze(DATASET), pipeline.silver(DATASET)) == {TABLE: 2, SILVER: 2}
    assert wrong(pipeline) == {}


def test_a_table_that_lost_a_file_is_filled_again_once_the_difference_was_looked_at(pipeline):
    filled(pipeline)
    places = pipeline.offsets(TABLE)
    newest = max(Path(pipeline.places.table(TABLE)).rglob("*.parquet"), key=lambda file: file.stat().st_mtime)
    newest.unlink()
    with pytest.raises(UnsafeState, match="differ from the live ones"):
        rebuilt(pipeline, TABLE)
    rebuilt(pipeline, TABLE, accept=True)
    assert pipeline.offsets(TABLE) == places
    assert wrong(pipeline) == {}
    state = handover.read(pipeline.places, TABLE)
    assert state is not None
    assert state.phase == "swapped"
