"""F19: what a producer was told is committed can be read, also if the broker is killed the moment it has said so."""

import time
from pathlib import Path

import pytest
from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from correnteza.embedded import fenced_start
from monitoring.lag.hanging import LONGEST_SECONDS, Hanging, hanging
from monitoring.lag.kafka import Cluster
from tests.brokers import own_broker

pytestmark = [pytest.mark.integration, pytest.mark.fault]

TOPICS = ("some", "other")
PARTITIONS = 200
"""Of a third topic. A broker that becomes fenced lets go of partition after partition and of its coordinator last: the
more there are, the longer the coordinator acts without leaders, and the surer a retry, each 50 ms, meets that."""
TRIES = 8
"""Kills of the control: on a loaded machine one in four loses nothing."""
BY_PROXY = "listener.name=PROXIED"


def undecided(bootstrap: str) -> list[str]:
    """The topics with records that no reader of committed records reaches."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = {TopicPartition(topic, 0): OffsetSpec.latest() for topic in TOPICS}
    decided, written = (
        {place.topic: done.result().offset for place, done in admin.list_offsets(asked, isolation_level=level).items()}
        for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    )
    assert min(written.values()) > 0
    return [
        f"{topic}: read up to {decided[topic]}, and {written[topic]} are written"
        for topic in TOPICS
        if decided[topic] < written[topic]
    ]


@pytest.mark.usefixtures("patient")
def test_f19_control_a_commit_that_was_answered_holds_though_the_broker_is_killed_at_once(
    tmp_path, control, monkeypatch
):
    doubted: list[Hanging] = []

    def after_a_kill(folder: Path) -> list[str]:
        with own_broker(folder, to_itself="PROXIED") as own:
            admin = AdminClient({"bootstrap.servers": own.direct})
            wanted = [*(NewTopic(topic, 1, 1) for topic in TOPICS), NewTopic("many", PARTITIONS, 1)]
            for done in admin.create_topics(wanted).values():
                done.result()
            ours = {"bootstrap.servers": own.direct, "transactional.id": "some"}
            producer = Producer(ours)
            producer.init_transactions(60)
            producer.begin_transaction()
            for topic in TOPICS:
                producer.produce(topic, b"a record")
            producer.flush(60)
            own.proxy.mode = "blackhole"  # so that no marker is written before the kill, however late that comes
            producer.commit_transaction(60)
            own.stop(cleanly=False)
            properties = folder / "home/kafka/server.properties"
            properties.write_text(properties.read_text().replace(BY_PROXY, "listener.name=PLAINTEXT"))
            own.start()
            # Its successor may begin once the broker takes the transaction for complete.
            Producer(ours).init_transactions(60)
            doubted[:] = hanging(Cluster(own.direct), TOPICS, time.time() + 2 * LONGEST_SECONDS)
            return undecided(own.direct)

    def after_kills(name: str, count: int) -> list[str]:
        """Of the first kill that loses something."""
        each = (after_a_kill(tmp_path / f"{name}{number}") for number in range(count))
        return next((found for found in each if found), [])

    control.holds(after_kills, "fenced", 1)
    assert doubted == []
    monkeypatch.setattr(fenced_start, "command", lambda _data, _controller, broker: broker)
    control.objects(after_kills, "at once", TRIES, damage="some: read up to 0, and 1 are written")
    # What `doctor` would say a quarter of an hour later.
    assert ("some", 0, 0) in {(each.topic, each.partition, each.offset) for each in doubted}
