"""Each call reads what is new in its topics, once and in order. Between two calls the broker is asked for nothing."""

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from producers.schedule.plain import Sender, Tail
from tests.helpers import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(services, prefix):
    name = f"{prefix}plain"
    admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, 2)])[name].result(30)
    wait_for(lambda: name in admin.list_topics(timeout=30).topics, "the topic")
    return name


@pytest.fixture
def tail(services, topic):
    found = Tail(services.bootstrap, [topic])
    yield found
    found.close()


def read(tail):
    return sorted((entry.partition, entry.offset, entry.value) for entry in tail.read())


def test_each_call_goes_on_where_the_last_one_ended(services, topic, tail):
    sender = Sender(services.bootstrap)
    assert read(tail) == []
    sender.send(topic, [("k", b"a"), ("k", b"b")], partition=0)
    assert read(tail) == [(0, 0, b"a"), (0, 1, b"b")]
    assert read(tail) == []
    sender.send(topic, [("k", b"c")], partition=1)
    sender.send(topic, [("k", b"d")], partition=0)
    assert read(tail) == [(0, 2, b"d"), (1, 0, b"c")]


def test_no_partition_is_assigned_between_two_calls(services, topic, tail):
    Sender(services.bootstrap).send(topic, [("k", b"a")])
    assert len(read(tail)) == 1
    assert tail._consumer.assignment() == []
