"""Bronze against a real broker and registry: each record is there once, whatever its bytes and whatever failed."""

import copy
import json
from datetime import date
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from foundation import failpoints
from foundation.errors import CorrentezaError, TransientError, UnsafeState
from schemas.contracts import Contract, load
from stream_jobs.places import SCHEMAS
from stream_jobs.running import attempts
from tests.pipeline import astray
from tests.records import framed, message

DATASET = "inmet_stations"
TABLE = f"bronze.{DATASET}"
POINTS = ("before_bronze", "after_bronze")
"""The failure points of a batch of bronze."""
CONTRACT = load(DATASET)


def station(number: int, **fields: Any) -> dict[str, Any]:
    return {"station_code": f"A{number:03}", "valid_from_on": date(2024, 1, 1), **fields}


def stations(first: int, last: int) -> list[dict[str, Any]]:
    return [station(number) for number in range(first, last)]


def statuses(pipeline) -> list[str]:
    return [row["decode_status"] for row in sorted(pipeline.rows(TABLE), key=lambda row: row["offset"])]


def test_f30_undecodable_bytes_become_rows_and_the_rest_goes_on(pipeline):
    """F30. Every kind in one batch, between good records; an unknown id is asked for, denied, and filed."""
    pipeline.publish(DATASET, station(1))
    whole = message(CONTRACT, pipeline.ids[DATASET], station(2))[1]
    unknown = b"\x00\xff\xff\xff\xfe" + whole[5:]
    hostile = whole[:5] + b"\x80\xca\xb5\xee\x03xyz"  # a string of 500 MB, it says
    pipeline.send(DATASET, [(b"k", bytes_) for bytes_ in (b"\x01junk", whole[:-2], hostile, unknown, b"", None)])
    pipeline.publish(DATASET, station(3))

    job = pipeline.bronze(DATASET)
    pipeline.run(job)

    wanted = ["ok", "not_framed", "corrupt", "corrupt", "unknown_schema", "not_framed", "tombstone", "ok"]
    assert statuses(pipeline) == wanted
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)
    kept = next(row for row in pipeline.rows(TABLE) if row["decode_status"] == "unknown_schema")
    assert (kept["value"], kept["schema_id"], kept["record"]) == (unknown, 2**32 - 2, None)


def test_a_schema_registered_while_the_query_runs_is_not_filed_as_unknown(pipeline):
    """The plan was made before the schema existed. Its records must decode, and the lake must keep the schema."""
    pipeline.publish(DATASET, station(1))
    job = pipeline.bronze(DATASET)
    newer = _next_version("owner")
    schema_id = pipeline.registry.register([newer], pipeline.broker.prefix)[DATASET]
    pipeline.send(DATASET, [(b"A002", framed(newer.schema, schema_id, station(2, owner="INMET")))])

    pipeline.run(job)

    assert statuses(pipeline) == ["ok", "ok"]
    row = next(row for row in pipeline.rows(TABLE) if row["schema_id"] == schema_id)
    assert (row["record"]["station_code"], row["value"] is not None) == ("A002", True)
    assert schema_id in {row["schema_id"] for row in pipeline.rows(SCHEMAS)}


def test_f30_while_the_registry_is_away_nothing_is_decided(pipeline):
    """Neither filed as unknown nor given up: the record waits."""

    class Away:
        answers: Any = None

        def versions(self, subject: str) -> list[tuple[int, int, str]]:
            return pipeline.registry.versions(subject)

        def schema_by_id(self, schema_id: int) -> str | None:
            if self.answers is None:
                raise TransientError("the registry does not answer")
            return self.answers(schema_id)

    registry = Away()
    pipeline.publish(DATASET, station(1))
    job = pipeline.bronze(DATASET, registry=registry)
    pipeline.send(DATASET, [(b"k", b"\x00\x00\x00\xff\xff" + b"x" * 20)])
    query = job.start({"availableNow": True})
    with pytest.raises(Exception, match="65535") as stopped:
        query.awaitTermination()

    with pytest.raises(TransientError):
        job.repair(str(stopped.value))
    assert pipeline.rows(TABLE) == []

    registry.answers = pipeline.registry.schema_by_id
    pipeline.run(job)
    assert statuses(pipeline) == ["ok", "unknown_schema"]


def test_an_id_that_was_denied_and_is_registered_later_outdates_the_query(pipeline):
    pipeline.publish(DATASET, station(1))
    job = pipeline.bronze(DATASET)
    pipeline.send(DATASET, [(b"k", b"\x00\x00\x01\xff\xff" + b"x" * 20)])
    pipeline.run(job)
    assert not job.outdated

    job._known_schemas.ids |= {0x1FFFF}
    assert job.outdated


def test_only_committed_records_arrive(pipeline):
    """Rolled-back records are never seen; the markers of both kinds make legal gaps."""
    pipeline.declare(DATASET)
    producer = Producer(
        {
            "bootstrap.servers": pipeline.broker.bootstrap,
            "transactional.id": f"{pipeline.broker.prefix}t",
            "log_level": 0,
        }
    )
    producer.init_transactions(30)
    for number, commit in enumerate((True, False, True)):
        producer.begin_transaction()
        key, value = message(CONTRACT, pipeline.ids[DATASET], station(number))
        producer.produce(pipeline.topic(DATASET), value, key)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    job = pipeline.bronze(DATASET)
    pipeline.run(job)

    assert [row["record"]["station_code"] for row in pipeline.rows(TABLE)] == ["A000", "A002"]
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)

    # A batch of markers alone must leave the query able to start again.
    producer.begin_transaction()
    producer.produce(pipeline.topic(DATASET), value, key)
    producer.abort_transaction(30)
    pipeline.run(job)
    pipeline.run(job)
    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


def test_f17_a_batch_that_was_written_but_not_noted_is_repeated_and_the_query_lives(pipeline):
    """F17, and SPARK-55271: with the Kafka connector 4.1.1 or 4.1.2 the query fails after the repeated batch."""
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    newest_commit(pipeline).unlink()
    pipeline.publish(DATASET, *stations(5, 8))
    pipeline.run(job)
    pipeline.publish(DATASET, station(9))
    pipeline.run(job)

    assert pipeline.offsets(TABLE) == pipeline.committed(DATASET)


@pytest.mark.parametrize("point", POINTS)
def test_f17_a_batch_that_fails_before_or_after_its_commit_is_in_bronze_once(pipeline, point, monkeypatch):
    """The control below repeats a batch, too."""
    monkeypatch.setattr(attempts, "MOST_FAILURES", 0)
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    pipeline.publish(DATASET, *stations(5, 8))
    with monkeypatch.context() as armed:
        armed.setenv(failpoints.VARIABLE, f"{point}:raise")
        with pytest.raises(CorrentezaError, match=point):
            pipeline.run(job)
    written = 8 if point == "after_bronze" else 5
    assert len(pipeline.rows(TABLE)) == written

    pipeline.run(job)
    assert astray(pipeline, DATASET) == []


def test_f17_control_without_the_query_id_the_repeated_batch_doubles(pipeline, control):
    """The transaction id of the batch in Delta is another one."""
    job = pipeline.bronze_after(DATASET, stations(0, 5))
    newest_commit(pipeline).unlink()
    pipeline.run(job)
    control.holds(astray, pipeline, DATASET)

    newest_commit(pipeline).unlink()
    guard = pipeline.places.checkpoint(TABLE) / "guard.json"
    content = json.loads(guard.read_text())
    other = {"id": content["query_id"].replace(content["query_id"][0], "f" if content["query_id"][0] != "f" else "e")}
    guard.write_text(json.dumps({**content, "query_id": other["id"]}))
    (pipeline.checkpoint(TABLE) / "metadata").write_text(json.dumps(other))
    pipeline.run(job)
    control.objects(astray, pipeline, DATASET, damage="stands 2 times")


def test_f21_a_topic_made_anew_is_refused_and_can_be_adopted(pipeline):
    """F21 b: the new topic is longer, so Kafka's own checks say nothing."""
    job = pipeline.bronze_after(DATASET, stations(0, 2))
    admin = AdminClient({"bootstrap.servers": pipeline.broker.bootstrap, "log_level": 0})
    admin.delete_topics([pipeline.topic(DATASET)])[pipeline.topic(DATASET)].result()
    pipeline.declare_until_there(DATASET)
    pipeline.publish(DATASET, *stations(10, 15))

    with pytest.raises(UnsafeState, match="recreated"):
        job.require_same_topic(pipeline.broker.topic_id(pipeline.topic(DATASET)))
    with pytest.raises(UnsafeState, match="recreated"):
        pipeline.run(job)
    assert len(pipeline.rows(TABLE)) == 2

    pipeline.adopt(TABLE, DATASET)
    pipeline.run(job)
    codes = sorted(row["record"]["station_code"] for row in pipeline.rows(TABLE))
    assert codes == ["A000", "A001", *(f"A{n:03}" for n in range(10, 15))]


def newest_commit(pipeline):
    commits = pipeline.checkpoint(TABLE) / "commits"
    return max((path for path in commits.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _next_version(field: str) -> Contract:
    schema = copy.deepcopy(CONTRACT.schema)
    schema["fields"].append({"name": field, "type": ["null", "string"], "default": None})
    return Contract(CONTRACT.name, CONTRACT.topic, CONTRACT.key, 1, False, schema)
