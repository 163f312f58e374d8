"""The position of a bronze query, after its topic, checkpoint or records were removed or exchanged: F21 to F24, F31."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from correnteza import topics
from foundation.errors import CorrentezaError, UnsafeState
from schemas.contracts import load, load_all
from stream_jobs.bronze import job as bronze
from stream_jobs.bronze.job import BronzeJob
from stream_jobs.running import checkpoints, retention, topic_offsets
from stream_jobs.running.checkpoints import Checkpoint
from stream_jobs.running.guards import checkpoint_of
from tests.helpers import wait_for
from tests.pipeline import Pipeline, astray, pipeline
from tests.samples import sample
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow]

TABLE = f"bronze.{DATASET}"


def make_anew(pipeline: Pipeline, records: int) -> None:
    """Delete the topic, create it again, and publish records of other stations."""
    topic = pipeline.topic(DATASET)
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})  # in a variable until the answer is there
    admin.delete_topics([topic])[topic].result()
    pipeline.declare_until_there(DATASET)
    pipeline.publish(DATASET, *stations(100, 100 + records))


def of_topic(pipeline: Pipeline, topic_id: str) -> list[tuple[int, int]]:
    return sorted((row["partition"], row["offset"]) for row in pipeline.rows(TABLE) if row["topic_id"] == topic_id)


@pytest.mark.parametrize("records", [2, 8], ids=["shorter", "longer"])
def test_f21_a_recreated_topic_stops_the_query_and_adopting_reads_all_of_it(pipeline, records):
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


def of_the_new_topic(pipeline: Pipeline) -> list[str]:
    """O1 after a topic was recreated: the records that bronze lacks. Rows of the old topic are no error."""
    return [each for each in astray(pipeline, DATASET) if "holds what Kafka does not" not in each]


def test_f21_control_without_the_topic_id_the_first_records_of_a_longer_topic_are_lost(pipeline, monkeypatch, control):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    control.holds(of_the_new_topic, pipeline)
    make_anew(pipeline, 8)
    monkeypatch.setattr(Checkpoint, "_require_same_identity", lambda *_: None)
    monkeypatch.setattr(BronzeJob, "require_same_topic", lambda *_: None)
    pipeline.run(job)
    control.objects(of_the_new_topic, pipeline, damage="lacks 5 records: 0/0, 0/1, 0/2, 0/3, 0/4")


def filed(pipeline: Pipeline, topic_id: str, most: int) -> list[str]:
    """The oracle: bronze holds no more rows of a topic than its known end allows."""
    rows = of_topic(pipeline, topic_id)
    return [f"{len(rows)} rows are filed under a topic of {most}"] if len(rows) > most else []


def test_f21_control_records_of_a_topic_recreated_during_a_batch_are_not_stored_as_those_of_the_old_one(
    pipeline, monkeypatch, control
):
    """The batch was planned while the old topic was there, and fetches from the new one."""
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    first = pipeline.broker.topic_id(pipeline.topic(DATASET))
    longer = iter([9, 14])
    monkeypatch.setattr(bronze, "failpoint", lambda point: "before" in point and make_anew(pipeline, next(longer)))
    pipeline.publish(DATASET, *stations(5, 8))
    with pytest.raises(CorrentezaError, match="recreated while"):
        pipeline.run(job)
    control.holds(filed, pipeline, first, 5)

    monkeypatch.setattr(BronzeJob, "require_same_topic", lambda *_: None)
    second = pipeline.broker.topic_id(pipeline.topic(DATASET))
    pipeline.adopt(TABLE, DATASET)
    pipeline.run(pipeline.bronze(DATASET))
    control.objects(filed, pipeline, second, 0, damage="9 rows are filed under a topic of 0")


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


def test_f23_control_without_the_check_a_damaged_file_is_an_ordinary_error_without_a_hint(
    pipeline, monkeypatch, control
):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    (pipeline.checkpoint(TABLE) / "commits/0").write_text("")

    def names_the_command() -> list[str]:
        with pytest.raises(CorrentezaError) as failed:
            pipeline.run(job)
        said = f"{failed.value} {failed.value.hint}"
        is_named = isinstance(failed.value, UnsafeState) and f"checkpoint adopt {TABLE}" in said
        return [] if is_named else [f"it ends with code {failed.value.exit_code} and names no way on: {said}"]

    control.holds(names_the_command)
    monkeypatch.setattr(checkpoints, "_is_sound", lambda _: True)
    control.objects(names_the_command, damage="ends with code 1 and names no way on")


def of_another_query(pipeline: Pipeline, whole: bool) -> None:
    """Replace our checkpoint by that of another topic's query: with its guard, or only Spark's files."""
    pipeline.publish("bcb_sgs", sample(load("bcb_sgs"), 0))
    pipeline.run(pipeline.bronze("bcb_sgs"))
    other = pipeline.places.checkpoint("bronze.bcb_sgs")
    ours = pipeline.places.checkpoint(TABLE)
    source, target = (other, ours) if whole else (other / "g0", ours / "g0")
    shutil.rmtree(target)
    shutil.copytree(source, target)


@pytest.mark.parametrize("whole", [True, False], ids=["with its guard", "Spark's files"])
def test_f22_a_checkpoint_copied_from_another_query_is_refused_and_adopting_goes_on(pipeline, whole):
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 7))
    of_another_query(pipeline, whole)
    with pytest.raises(UnsafeState, match=r"another query|reads topic"):
        pipeline.run(job)
    assert len(pipeline.rows(TABLE)) == 5

    pipeline.adopt(TABLE, DATASET)
    pipeline.publish(DATASET, *stations(7, 8))
    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


def put_back_an_older_copy(pipeline: Pipeline, kept: Path) -> Any:
    """The query has read two batches; its checkpoint is again as it was after the first."""
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    folder = pipeline.checkpoint(TABLE)
    shutil.copytree(folder, kept)
    pipeline.publish(DATASET, *stations(5, 7))
    pipeline.run(job)
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
    pipeline.publish(DATASET, *stations(7, 9))
    return job


def test_f22_an_older_copy_of_the_checkpoint_is_refused_and_adopting_goes_on(pipeline, tmp_path):
    job = put_back_an_older_copy(pipeline, tmp_path / "kept")
    with pytest.raises(UnsafeState, match="an older copy of the checkpoint was put back"):
        pipeline.run(job)
    pipeline.adopt(TABLE, DATASET)
    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


def test_f22_control_without_the_guard_the_batches_after_an_older_copy_are_lost(
    pipeline, tmp_path, monkeypatch, control
):
    with pytest.raises(UnsafeState):
        pipeline.run(put_back_an_older_copy(pipeline, tmp_path / "kept"))
    pipeline.adopt(TABLE, DATASET)
    pipeline.run(pipeline.bronze(DATASET))
    control.holds(astray, pipeline, DATASET)

    job = put_back_an_older_copy(pipeline, tmp_path / "kept again")
    monkeypatch.setattr(Checkpoint, "_require_sound_files", lambda *_: None)
    pipeline.run(job)
    control.objects(astray, pipeline, DATASET, damage="lacks 2 records: 0/16, 0/17")


def test_f22_a_disk_that_is_lost_twice_is_adopted_under_a_generation_that_is_new_to_the_tables(pipeline):
    for first in (0, 5, 9):
        pipeline.publish(DATASET, *stations(first, first + 4))
        pipeline.run(pipeline.bronze(DATASET))
        pipeline.run(pipeline.silver(DATASET))
        shutil.rmtree(pipeline.places.checkpoints)
        pipeline.adopt(TABLE, DATASET)
        pipeline.adopt(f"silver.{DATASET}")
    assert checkpoint_of(pipeline.places, f"silver.{DATASET}").newest_generation() == 3
    pipeline.run(pipeline.silver(DATASET))
    assert len(pipeline.rows(f"silver.{DATASET}")) == 12
    assert pipeline.rows("silver.quarantine") == []


def remove_unread(pipeline: Pipeline) -> list[tuple[int, int]]:
    """Bronze has read five records of twelve; the next four are removed. Returns the places of all twelve."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 12))
    acknowledged = pipeline.committed(DATASET)
    place = TopicPartition(pipeline.topic(DATASET), 0, 9)
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    admin.delete_records([place])[place].result()
    return acknowledged


def accounted_for(pipeline: Pipeline) -> list[tuple[int, int]]:
    """Places that bronze holds, and those that `ops.gaps` declares lost."""
    declared = pipeline.rows("ops.gaps") if (Path(pipeline.places.table("ops.gaps")) / "_delta_log").exists() else []
    lost = [(gap["partition"], n) for gap in declared for n in range(gap["from_offset"], gap["until_offset"])]
    return sorted(pipeline.offsets(TABLE) + lost)


def wrong(pipeline: Pipeline) -> dict[str, list[str]]:
    """The findings of verify; these records are the test's own and have no manifests."""
    return pipeline.contradictions(DATASET, without=("manifests = rows", "payload = published + rejected"))


def test_f24_what_retention_removed_unread_is_named_and_only_a_declared_loss_is_passed_over(pipeline, cli):
    acknowledged = remove_unread(pipeline)
    with pytest.raises(UnsafeState, match=r"partition 0 offsets 5-8$") as refused:
        pipeline.run(pipeline.bronze(DATASET))
    assert f"correnteza checkpoint adopt {TABLE} --accept-loss" in refused.value.hint
    assert wrong(pipeline).keys() == {"bronze = topic"}
    with pytest.raises(UnsafeState, match="partition 0 offsets 5-8"):
        pipeline.adopt(TABLE, DATASET)

    pipeline.driver.locks.release()
    adopted = cli("checkpoint", "adopt", TABLE, "--accept-loss", "--yes")
    assert adopted.returncode == 0, adopted.stderr
    [gap] = pipeline.rows("ops.gaps")
    assert (gap["partition"], gap["from_offset"], gap["until_offset"], gap["reason"]) == (0, 5, 9, "retention")
    pipeline.run(pipeline.bronze(DATASET))
    assert accounted_for(pipeline) == acknowledged
    assert wrong(pipeline) == {}


def test_f24_control_without_the_check_the_range_is_skipped_without_an_error(pipeline, monkeypatch, control):
    acknowledged = remove_unread(pipeline)

    def passed_over() -> list[str]:
        """Acknowledged records that the query has skipped and that were not declared lost."""
        held = pipeline.offsets(TABLE)
        there = [place for place in acknowledged if place <= max(held)]
        return [f"record {place} was passed over" for place in there if place not in accounted_for(pipeline)]

    with pytest.raises(UnsafeState):
        pipeline.run(pipeline.bronze(DATASET))
    control.holds(passed_over)
    monkeypatch.setattr(retention, "require_nothing_missing", lambda *_: None)
    monkeypatch.setitem(bronze.KAFKA, "failOnDataLoss", "false")
    pipeline.run(pipeline.bronze(DATASET))
    control.objects(passed_over, damage="record (0, 5) was passed over")


@pytest.mark.long
def test_f24_retention_removes_what_a_stopped_query_has_not_read(pipeline):
    """As above, by the topic's own retention; the broker looks every five minutes."""
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 12))
    acknowledged, topic = pipeline.committed(DATASET), pipeline.topic(DATASET)
    short = [
        ConfigEntry(name, "1000", incremental_operation=AlterConfigOpType.SET)
        for name in ("retention.ms", "segment.ms")
    ]
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=short)
    admin.incremental_alter_configs([resource])[resource].result()
    wait_for(lambda: topic_offsets.first_offsets(pipeline.broker, topic)[0] > 5, "retention", 900)
    with pytest.raises(UnsafeState, match="offsets 5-"):
        pipeline.run(pipeline.bronze(DATASET))
    pipeline.adopt(TABLE, DATASET, loss_accepted_by="the operator")
    pipeline.run(pipeline.bronze(DATASET))
    assert accounted_for(pipeline) == acknowledged


def test_f31_a_checkpoint_of_another_kind_of_query_ends_run_with_3_and_adopting_goes_on(pipeline, cli):
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 7))
    pipeline.driver.locks.release()
    file = pipeline.places.checkpoint(TABLE) / "guard.json"
    guard = json.loads(file.read_text())
    file.write_text(json.dumps(guard | {"fingerprint": guard["fingerprint"] | {"spark": "3.5"}}))
    version = pipeline.version(TABLE)

    topics.apply(pipeline.broker.bootstrap, load_all().values(), pipeline.broker.prefix)
    refused = cli("run", "bronze", "--once")
    assert refused.returncode == 3, refused.stderr
    assert "spark was 3.5, is" in refused.stderr
    assert pipeline.version(TABLE) == version
    assert cli("checkpoint", "adopt", TABLE, "--yes").returncode == 0
    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


def test_f31_another_cap_is_no_other_query(pipeline, monkeypatch):
    pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 12))
    monkeypatch.setattr(bronze, "MOST_OFFSETS_PER_BATCH", 2)
    pipeline.run(pipeline.bronze(DATASET))
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)
