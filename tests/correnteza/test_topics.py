"""Topics are created as declared, and one that is made otherwise is refused."""

import os
from dataclasses import replace

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from correnteza import topics
from foundation.errors import UnsafeState
from schemas import queues
from schemas.contracts import load, load_all
from schemas.limits import MAX_RECORD_BYTES
from stream_jobs.running.topic_ids import current_ids
from tests import schedule_kit
from tests.helpers import still, wait_for

pytestmark = pytest.mark.integration


def settings_of(bootstrap, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    return {name: entry.value for name, entry in admin.describe_configs([resource])[resource].result().items()}


def test_apply_twice_creates_once(services, prefix):
    declared = [prefix + contract.topic for contract in load_all().values()]
    declared += [prefix + name for name in queues.PARTITIONS]
    assert [change.action for change in topics.plan(services.bootstrap, load_all().values(), prefix)] == [
        "create" for _ in declared
    ]
    assert topics.apply(services.bootstrap, load_all().values(), prefix) == declared
    assert topics.apply(services.bootstrap, load_all().values(), prefix) == []


def test_topics_are_made_as_declared(services, prefix):
    topics.apply(services.bootstrap, load_all().values(), prefix)
    rows = settings_of(services.bootstrap, prefix + load("inmet_hourly").topic)
    cursors = settings_of(services.bootstrap, prefix + load("ingest.cursors").topic)
    assert (rows["cleanup.policy"], rows["retention.ms"]) == ("delete", str(topics.RETENTION_MS))
    assert (cursors["cleanup.policy"], cursors["retention.ms"]) == ("compact", "-1")
    assert cursors["segment.bytes"] == str(topics.COMPACTED_SEGMENT_BYTES)
    assert rows["message.timestamp.type"] == cursors["message.timestamp.type"] == "CreateTime"


RECORD = 512 * 1024
"""Bytes of one record here: about twice what the cursor of a year with 590 stations has."""


def fill(bootstrap: str, topic: str) -> None:
    """Twenty megabytes of one key that do not shrink when they are compressed."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": MAX_RECORD_BYTES})
    for _ in range(40):
        producer.produce(topic, os.urandom(RECORD), b"inmet_hourly|2025")
    assert producer.flush(60) == 0


def superseded(bootstrap: str, topic: str, *, seconds: float) -> list[str]:
    """What is still read of the key, once the broker has had so long to compact it."""
    most = 2 * topics.COMPACTED_SEGMENT_BYTES // RECORD

    def left() -> list[str]:
        count = len(schedule_kit.values(bootstrap, topic))
        return [f"{count} records of one key are read"] if count > most else []

    return still(left, seconds)


@pytest.mark.slow
def test_control_in_a_segment_of_the_broker_s_own_size_cursors_are_never_compacted(
    services, prefix, monkeypatch, control
):
    cursors = load("ingest.cursors")
    topics.apply(services.bootstrap, [cursors], prefix)
    fill(services.bootstrap, prefix + cursors.topic)
    control.holds(superseded, services.bootstrap, prefix + cursors.topic, seconds=120)

    with monkeypatch.context() as patched:
        patched.setattr(topics, "COMPACTED_SEGMENT_BYTES", 1 << 30)
        topics.apply(services.bootstrap, [cursors], f"{prefix}control.")
    fill(services.bootstrap, f"{prefix}control.{cursors.topic}")
    # The cleaner looks every 15 seconds; it has passed once it has compacted what came after.
    fill(services.bootstrap, prefix + cursors.topic)
    control.holds(superseded, services.bootstrap, prefix + cursors.topic, seconds=120)
    control.objects(
        superseded, services.bootstrap, f"{prefix}control.{cursors.topic}", seconds=0, damage="40 records of one key"
    )


def test_every_slots_outcome_stays_as_long_as_its_request(services, prefix):
    topics.apply(services.bootstrap, [], prefix)
    requests = settings_of(services.bootstrap, prefix + queues.REQUESTS)
    outcomes = settings_of(services.bootstrap, prefix + queues.OUTCOMES)
    assert (requests["cleanup.policy"], requests["retention.ms"]) == ("delete", str(topics.RETENTION_MS))
    assert (outcomes["cleanup.policy"], outcomes["min.compaction.lag.ms"]) == ("compact", str(topics.RETENTION_MS))


def test_the_queues_are_no_contracts_so_no_table_takes_them():
    assert not {contract.topic for contract in load_all().values()} & queues.PARTITIONS.keys()


def test_a_topic_with_fewer_partitions_is_refused(services, prefix):
    contract = load("bcb_sgs")
    topics.apply(services.bootstrap, [contract], prefix)
    wider = replace(contract, partitions=contract.partitions + 1)
    with pytest.raises(UnsafeState, match=f"{contract.topic} has {contract.partitions} partitions"):
        topics.apply(services.bootstrap, [wider], prefix)


def test_a_topic_with_more_partitions_is_kept(services, prefix):
    contract = load("bcb_sgs")
    topics.apply(services.bootstrap, [replace(contract, partitions=3)], prefix)
    assert topics.apply(services.bootstrap, [contract], prefix) == []


def test_a_topic_with_another_cleanup_policy_is_refused(services, prefix):
    contract = load("bcb_sgs")
    topics.apply(services.bootstrap, [contract], prefix)
    with pytest.raises(UnsafeState, match=r"cleanup\.policy=delete"):
        topics.apply(services.bootstrap, [replace(contract, compacted=True)], prefix)


def delete(bootstrap: str, topic: str) -> None:
    """Its deletion takes effect a moment after it was acknowledged."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # in a variable until the answer is there
    admin.delete_topics([topic])[topic].result()
    wait_for(lambda: not current_ids(bootstrap, [topic]), "the topic is gone")


def test_a_topic_deleted_after_it_was_listed_is_created(services, prefix, monkeypatch):
    contract = load("bcb_sgs")
    topic = prefix + contract.topic
    topics.apply(services.bootstrap, [contract], prefix)
    listed = topics._topics

    def deleted_then(admin, bootstrap):
        found = listed(admin, bootstrap)
        assert topic in found
        delete(bootstrap, topic)
        return found

    monkeypatch.setattr(topics, "_topics", deleted_then)
    assert topics.apply(services.bootstrap, [contract], prefix) == [topic]
    assert current_ids(services.bootstrap, [topic])


def test_a_topic_created_again_has_another_id(services, prefix):
    contract = load("bcb_sgs")
    topic = prefix + contract.topic
    topics.apply(services.bootstrap, [contract], prefix)
    first = current_ids(services.bootstrap, [topic, prefix + "nothing"])
    assert first.keys() == {topic}
    delete(services.bootstrap, topic)
    topics.apply(services.bootstrap, [contract], prefix)
    assert current_ids(services.bootstrap, [topic])[topic] != first[topic]
