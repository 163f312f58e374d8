"""A transaction that nobody ends is found by a look at the broker, and by how long a last stable offset stands."""

import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from monitoring.lag.hanging import LONGEST_SECONDS, Hanging, StandStill, hanging
from monitoring.lag.kafka import Cluster
from tests.helpers import wait_for
from tests.records import in_transaction

HOUR = 3600.0


@pytest.fixture
def topic(services, prefix):
    name = f"{prefix}numbers"
    admin = AdminClient({"bootstrap.servers": services.bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result()
    return name


@pytest.fixture
def producer(services, topic):
    """One that has committed a record, at 0 of partition 1, and has begun the next transaction."""
    found = in_transaction(services.bootstrap, topic)
    found.produce(topic, value=b"0", partition=1)
    found.commit_transaction(30)
    cluster = Cluster(services.bootstrap)
    # A commit is answered before its marker is written.
    wait_for(lambda: not cluster.held_back(cluster.topics([topic]).values()), "the commit to be read")
    found.begin_transaction()
    yield found
    found.abort_transaction(30)


@pytest.mark.integration
@pytest.mark.usefixtures("patient")
def test_an_open_transaction_hangs_once_its_first_record_is_older_than_any_may_be(services, topic, producer):
    cluster, now = Cluster(services.bootstrap), time.time()
    began = round(now - HOUR)
    for value in (b"1", b"2"):
        producer.produce(topic, value=value, partition=1, timestamp=began * 1000)
    assert producer.flush(30) == 0
    assert hanging(cluster, [topic], now) == [Hanging(topic, 1, 2, began)]
    assert hanging(cluster, [topic], began + LONGEST_SECONDS) == []
    producer.commit_transaction(30)
    wait_for(lambda: hanging(cluster, [topic, f"{topic}-absent"], now) == [], "the commit to be read")
    producer.begin_transaction()


@pytest.mark.integration
def test_records_that_wait_for_a_commit_are_held_back_and_those_of_others_are_not(services, topic, producer):
    cluster = Cluster(services.bootstrap)
    before = cluster.topics([topic])
    assert cluster.held_back(before.values()) == {}
    producer.produce(topic, value=b"1", partition=1)
    assert producer.flush(30) == 0
    assert cluster.held_back(cluster.topics([topic]).values()) == {(topic, 1): 2}
    assert cluster.held_back([]) == {}


def test_a_last_stable_offset_stands_still_from_when_it_was_first_seen_before_the_end():
    watch = StandStill()
    assert watch.seconds({("a", 0): 5}, 100.0) == {"a": 0}
    assert watch.seconds({("a", 0): 5, ("a", 1): 2, ("b", 0): 0}, 160.0) == {"a": 60, "b": 0}
    assert watch.seconds({("a", 1): 2, ("b", 0): 0}, 190.0) == {"a": 30, "b": 30}


def test_one_that_moves_or_reaches_the_end_begins_anew():
    watch = StandStill()
    watch.seconds({("a", 0): 5, ("b", 0): 5}, 100.0)
    assert watch.seconds({("a", 0): 6}, 200.0) == {"a": 0}
    assert watch.seconds({("a", 0): 6, ("b", 0): 5}, 210.0) == {"a": 10, "b": 0}
    assert watch.seconds({}, 220.0) == {}
