"""`doctor` recognises each damage at which a start refuses (F21 to F24, F31), and names the command that fixes it."""

import json
import shutil
import time
from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from correnteza import topics
from schemas.contracts import load_all
from schemas.registry import prove_compatibility
from stream_jobs.running.diagnosis import STATE_FILES
from tests.faults.test_checkpoint_faults import TABLE, make_anew, of_another_query
from tests.helpers import wait_for
from tests.pipeline import Pipeline, pipeline
from tests.records import in_transaction
from tests.spark_fixtures import spark
from tests.stations import DATASET, stations

__all__ = ["pipeline", "spark"]

pytestmark = [pytest.mark.integration, pytest.mark.fault]

ADOPT = f"correnteza checkpoint adopt {TABLE}"


def lose(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.places.checkpoint(TABLE))


def lose_guard(pipeline: Pipeline) -> None:
    (pipeline.places.checkpoint(TABLE) / "guard.json").unlink()


def cut(file: str) -> Callable[[Pipeline], None]:
    return lambda pipeline: (pipeline.checkpoint(TABLE) / file).write_text("v2\n{}")


def copy(pipeline: Pipeline) -> None:
    of_another_query(pipeline, whole=False)


def exchange_topic(pipeline: Pipeline) -> None:
    make_anew(pipeline, 2)


def change_kind(pipeline: Pipeline) -> None:
    file = pipeline.places.checkpoint(TABLE) / "guard.json"
    guard = json.loads(file.read_text())
    file.write_text(json.dumps(guard | {"fingerprint": guard["fingerprint"] | {"sink": "console"}}))


def remove_records(pipeline: Pipeline) -> None:
    pipeline.publish(DATASET, *stations(5, 9))
    place = TopicPartition(pipeline.topic(DATASET), 0, 7)
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap})
    admin.delete_records([place])[place].result()


def damage_beside(name: str) -> Callable[[Pipeline], None]:
    return lambda pipeline: (pipeline.places.checkpoint(TABLE) / name).write_text("[16")


DAMAGES = {
    **{f"{name} damaged": (damage_beside(name), f"{name} is damaged", "rm ") for name in STATE_FILES},
    "F21 topic recreated": (exchange_topic, "recreated", ADOPT),
    "F22 checkpoint lost": (lose, "is lost", ADOPT),
    "F22 guard lost": (lose_guard, "no guard.json", ADOPT),
    "F22 checkpoint copied": (copy, "of another query", ADOPT),
    "F23 offsets damaged": (cut("offsets/0"), "offsets/0 is damaged", ADOPT),
    "F23 commits damaged": (cut("commits/0"), "commits/0 is damaged", ADOPT),
    "F23 metadata damaged": (cut("metadata"), "metadata is damaged", ADOPT),
    "F24 records removed unread": (remove_records, "partition 0 offsets 5-6", f"{ADOPT} --accept-loss"),
    "F31 another kind of query": (change_kind, "sink was console", ADOPT),
}


@pytest.fixture
def whole(pipeline) -> Pipeline:
    """All topics there, a registry that checks, and one query that has run."""
    prove_compatibility(pipeline.settings.registry)
    topics.apply(pipeline.broker.bootstrap, load_all().values(), pipeline.broker.prefix)
    pipeline.bronze_after(DATASET, stations(0, 5))
    return pipeline


def test_doctor_finds_nothing_unsafe_in_a_running_pipeline_and_notes_single_replicas(whole, here):
    done = here("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each["kind"] for each in json.loads(done.stdout)} <= {"advice"}
    assert "one replica" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_doctor_names_each_damage_and_its_repair_and_changes_nothing(whole, here, damage):
    act, what, mend = DAMAGES[damage]
    act(whole)
    before = sorted(str(path) for path in whole.places.checkpoints.rglob("*"))
    done = here("doctor", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    [finding] = [each for each in json.loads(done.stdout) if each["kind"] == "unsafe"]
    assert what in finding["what"]
    assert mend in finding["mend"]
    assert sorted(str(path) for path in whole.places.checkpoints.rglob("*")) == before


@pytest.mark.usefixtures("patient")
def test_doctor_names_a_transaction_that_was_never_ended_and_none_that_is_young(whole, here):
    producer = in_transaction(whole.broker.bootstrap, whole.broker.prefix)
    producer.produce(whole.topic("bcb_sgs"), value=b"young", partition=0)
    producer.produce(whole.topic("bcb_ptax"), value=b"old", partition=0, timestamp=int(time.time() - 3600) * 1000)
    assert producer.flush(30) == 0
    done = here("doctor", "--json")
    producer.abort_transaction(30)
    assert done.returncode == 4, done.stdout + done.stderr
    [finding] = [each for each in json.loads(done.stdout) if each["kind"] == "away"]
    assert f"{whole.topic('bcb_ptax')}, partition 0: nobody can read from offset 0 on" in finding["what"]
    assert "TransactionHanging" in finding["mend"]
    # An abort is answered before its marker is written.
    wait_for(lambda: here("doctor").returncode == 0, "the abort to be seen")


def test_doctor_says_what_is_away_and_ends_with_4(settings, here):
    away = {"CORRENTEZA_KAFKA_BOOTSTRAP": "127.0.0.1:9", "CORRENTEZA_REGISTRY_URL": "http://127.0.0.1:9"}
    done = here("doctor", **away)
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stdout.count("away") >= 2
    assert "try: correnteza up" in done.stdout
