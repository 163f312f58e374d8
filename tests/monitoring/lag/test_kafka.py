"""The independent consumer on a real broker reads only committed records, whatever is between them."""

import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from foundation.errors import DependencyUnavailable
from monitoring.lag.kafka import Cluster
from tests.controls import counted
from tests.records import in_transaction, publish

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(services, prefix):
    """Committed records at 0-2, aborted ones at 4-5, committed at 7; markers at 3, 6 and 8."""
    name = f"{prefix}numbers"
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    producer = Producer({"bootstrap.servers": services.bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    for count, finish in (
        (3, producer.commit_transaction),
        (2, producer.abort_transaction),
        (1, producer.commit_transaction),
    ):
        producer.begin_transaction()
        for number in range(count):
            producer.produce(name, key=b"k", value=b"%d" % number)
        producer.flush(30)
        finish()
    return name


def offsets(cluster, topic, start, end):
    return [message.offset() for batch in cluster.read(topic, 0, start, end) for message in batch]


def test_bounds_end_at_the_last_stable_offset(services, topic, prefix):
    found = Cluster(services.bootstrap).topics([topic, f"{prefix}absent"])
    assert found.keys() == {topic}
    assert (found[topic].partitions[0].first, found[topic].partitions[0].stable) == (0, 9)
    described = AdminClient({"bootstrap.servers": services.bootstrap})
    from confluent_kafka import TopicCollection

    assert found[topic].topic_id == str(described.describe_topics(TopicCollection([topic]))[topic].result().topic_id)


def test_an_open_transaction_is_beyond_the_last_stable_offset(services, topic):
    producer = in_transaction(services.bootstrap, topic)
    producer.produce(topic, value=b"open")
    producer.flush(30)
    cluster = Cluster(services.bootstrap)
    assert cluster.topics([topic])[topic].partitions[0].stable == 9
    assert offsets(cluster, topic, 0, 9) == [0, 1, 2, 7]
    producer.abort_transaction()


def test_only_committed_records_are_read_and_only_within_the_bounds(services, topic):
    cluster = Cluster(services.bootstrap)
    assert offsets(cluster, topic, 0, 9) == [0, 1, 2, 7]
    assert offsets(cluster, topic, 1, 3) == [1, 2]
    assert offsets(cluster, topic, 3, 7) == []
    assert offsets(cluster, topic, 8, 9) == []


def test_control_aborted_records_are_there_for_a_reader_that_does_not_ask_for_committed_ones(services, topic, control):
    cluster = Cluster(services.bootstrap)

    def read() -> list[str]:
        return counted(offsets(cluster, topic, 0, 9), [0, 1, 2, 7], "offset")

    control.holds(read)
    cluster._consumer = lambda: _uncommitted(services.bootstrap)
    control.objects(read, damage=("offset 4 stands 1 times instead of 0", "offset 5 stands 1 times instead of 0"))


def _uncommitted(bootstrap):
    from confluent_kafka import Consumer

    return Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "x", "isolation.level": "read_uncommitted",
         "enable.partition.eof": True, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )  # fmt: skip


def test_the_age_of_the_oldest_unread_record_is_that_of_the_record_at_the_next_offset(services, topic):
    cluster = Cluster(services.bootstrap)
    found = cluster.oldest_timestamps({(topic, 0): 3}, 30)
    assert abs(found[topic, 0] - time.time()) < 60
    assert cluster.oldest_timestamps({(topic, 0): 8}, 30) == {(topic, 0): None}
    assert cluster.oldest_timestamps({}, 30) == {}


def test_an_instant_names_the_first_offset_that_is_not_older(services, topic):
    cluster = Cluster(services.bootstrap)
    found = cluster.topics([topic])[topic]
    assert cluster.offsets_at(found, 0) == {0: 0}
    assert cluster.offsets_at(found, time.time() + 3600) == {0: 9}


def test_a_broker_that_is_away_is_a_dependency_unavailable(monkeypatch):
    monkeypatch.setattr("monitoring.lag.kafka._RPC_SECONDS", 1.0)
    with pytest.raises(DependencyUnavailable, match="does not answer"):
        Cluster("127.0.0.1:1").topics(["any"])


def test_single_records_are_found_near_and_far_and_what_is_not_committed_is_left_out(services, topic, prefix):
    """Far ones lie beyond a seek; beside them a partition that has nothing of what is asked for."""
    far = f"{prefix}far"
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    admin.create_topics([NewTopic(far, 2, 1)])[far].result()
    publish(services.bootstrap, far, ((None, b"%d" % number) for number in range(3000)), partition=0)
    wanted = {(topic, 0): [7, 1, 4, 8, 50], (far, 0): [2900, 0, 1, 1500, 2999], (far, 1): [3]}
    found = Cluster(services.bootstrap).read_at(wanted)
    assert {place: int(message.value()) for place, message in found.items()} == {
        (topic, 0, 1): 1, (topic, 0, 7): 0, **{(far, 0, offset): offset for offset in (0, 1, 1500, 2900, 2999)},
    }  # fmt: skip
    assert Cluster(services.bootstrap).read_at({}) == {}
