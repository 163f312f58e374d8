"""The monitor with a real broker: its values are compared with independent clients, also without driver or broker."""

import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from correnteza import topics
from correnteza.embedded import ports
from correnteza.watching import watched
from foundation.errors import DependencyUnavailable
from monitoring.lag.kafka import Cluster
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.monitor import Monitor
from schemas.contracts import load, load_all
from tests.controls import differs
from tests.helpers import wait_for
from tests.monitoring.kit import write_checkpoint
from tests.records import in_transaction, message

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("patient")]

SGS = ("bronze", "bcb_sgs")
CONTRACT = load("bcb_sgs")


@pytest.fixture
def topic(settings):
    contracts = load_all().values()
    topics.apply(settings.bootstrap, contracts, settings.topic_prefix)

    def is_led():
        with suppress(DependencyUnavailable):
            return Cluster(settings.bootstrap).topics(settings.topic_prefix + each.topic for each in contracts)

    # A broker names itself the leader of a new partition before it takes questions about it.
    wait_for(is_led, "every partition answers")
    return settings.topic_prefix + CONTRACT.topic


def send(settings, topic, count, at=None, first=0):
    """Records of bcb_sgs; under a schema id that no registry knows they are rows of bronze all the same."""
    days = (datetime(2024, 1, 1, tzinfo=UTC).date() + timedelta(days=first + n) for n in range(count))
    records = ({"series_code": 1, "reference_on": day, "value": None} for day in days)
    producer = Producer({"bootstrap.servers": settings.bootstrap, "log_level": 0})
    stamp = int(at.timestamp() * 1000) if at else 0
    for key, value in (message(CONTRACT, 1, each) for each in records):
        producer.produce(topic, value=value, key=key, partition=0, timestamp=stamp)
    assert producer.flush(60) == 0


def high_watermark(settings, topic):
    """By a client that shares nothing with the monitor."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap, "group.id": "oracle"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
    finally:
        consumer.close()


def value(monitor, name, *labels):
    return monitor.samples().get(name, {}).get(labels)


def wrong(monitor, settings, topic, position, oldest):
    """What the monitor says of bronze's lag that is not so."""
    monitor.parts.look_at_all()
    told = [value(monitor, name, *SGS) for name in ("lag_records", "oldest_unread_timestamp_seconds")]
    return differs(told, [high_watermark(settings, topic) - position, oldest])


def commit(settings, topic, batch, offset):
    write_checkpoint(settings.checkpoints, "bronze.bcb_sgs", batch=batch, sources=[{topic: {"0": offset}}])


def test_lag_by_the_broker_is_what_an_independent_client_sees_and_without_the_broker_it_is_absent(
    settings, topic, monkeypatch
):
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    send(settings, topic, 3, at)
    send(settings, topic, 2, at + timedelta(hours=1), first=3)
    commit(settings, topic, 0, 3)
    monitor = Monitor(watched(settings), every=1.0)
    assert wrong(monitor, settings, topic, 3, (at + timedelta(hours=1)).timestamp()) == []
    assert value(monitor, "lag_seconds", *SGS) == pytest.approx(23 * 3600, abs=1800)
    kept = topics.RETENTION_MS / 1000
    assert value(monitor, "retention_seconds_to_loss", "bcb_sgs") == pytest.approx(kept - 23 * 3600, abs=1800)
    assert (value(monitor, "broker_offline_partitions"), value(monitor, "up", "broker")) == (0, 1)
    assert value(monitor, "source_overdue_slots", "bcb_sgs") == 1  # never polled
    commit(settings, topic, 1, 5)
    assert wrong(monitor, settings, topic, 5, None) == []

    # A client goes on trying to connect for as long as it may.
    monkeypatch.setattr("monitoring.watch.broker.ANSWER_WITHIN_SECONDS", 1.5)
    gone = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{ports.free()}"})
    monitor = Monitor(watched(gone), every=1.0)
    monitor.parts.look_at_all()
    up = {
        part: value(monitor, "up", part) for part in ("broker", "schedule", "registry", "lake", "checkpoints", "disk")
    }
    assert up == {"broker": 0, "schedule": 0, "registry": 1, "lake": 1, "checkpoints": 1, "disk": 1}
    assert value(monitor, "lag_records", *SGS) is None
    assert value(monitor, "query_committed_batch", *SGS) == 1


def test_control_with_a_checkpoint_that_is_read_once_the_lag_is_that_of_then(settings, topic, monkeypatch, control):
    send(settings, topic, 5, at := datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
    commit(settings, topic, 0, 2)
    monitor = Monitor(watched(settings), every=1.0)
    control.holds(wrong, monitor, settings, topic, 2, at.timestamp())
    monkeypatch.setattr(Checkpoints, "_state", lambda self, query: self._known[query][0])
    commit(settings, topic, 1, 5)
    control.objects(wrong, monitor, settings, topic, 5, None, damage=" instead of [0, None]")


def test_it_shows_how_long_a_transaction_keeps_records_from_readers(settings, topic):
    monitor = Monitor(watched(settings), every=1.0)
    producer = in_transaction(settings.bootstrap, topic)
    producer.produce(topic, value=b"open", partition=0)
    assert producer.flush(30) == 0
    for _ in range(2):
        monitor.parts.look_at_all()
    open_for = value(monitor, "open_transaction_seconds", "bcb_sgs")
    assert (open_for > 0, value(monitor, "open_transaction_seconds", "bcb_ptax")) == (True, 0)
    assert value(monitor, "lag_records", *SGS) == 0  # it ends where readers do
    producer.commit_transaction(30)

    def is_read() -> bool:
        """A commit is answered before its marker is written."""
        monitor.parts.look_at_all()
        return value(monitor, "lag_records", *SGS) == 2

    wait_for(is_read, "the record and its marker")
    assert value(monitor, "open_transaction_seconds", "bcb_sgs") == 0


def committed(settings, group, topic):
    """The group's offset, as tools see it that know lag by groups."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
    (found,) = admin.list_consumer_group_offsets([asked])[group].result().topic_partitions
    return found.offset


def test_the_shadow_group_follows_bronze_and_without_the_setting_there_is_none(settings, topic, monkeypatch):
    monkeypatch.setattr("monitoring.watch.shadow.EVERY_SECONDS", 0.0)
    group = f"{settings.topic_prefix}shadow"
    send(settings, topic, 5)
    commit(settings, topic, 0, 2)
    Monitor(watched(settings), every=1.0).parts.look_at_all()
    assert committed(settings, group, topic) < 0
    monitor = Monitor(watched(settings.model_copy(update={"shadow_group": group})), every=1.0)
    for offset in (2, 5):
        commit(settings, topic, offset, offset)
        monitor.parts.look_at_all()
        assert (committed(settings, group, topic), value(monitor, "up", "broker")) == (offset, 1)


def test_with_the_driver_killed_the_numbers_stay_true(settings, topic, cli_process):
    port = ports.free()
    settings = settings.model_copy(update={"stream_metrics_port": port})
    send(settings, topic, 5)
    monitor = Monitor(watched(settings), every=1.0)
    driver = cli_process("run", "bronze", CORRENTEZA_STREAM_METRICS_PORT=str(port))

    def has_read():
        assert driver.poll() is None, driver.said
        monitor.parts.look_at_all()
        return value(monitor, "lag_records", *SGS) == 0 and value(monitor, "up", "driver") == 1

    wait_for(has_read, "bronze has read it all")

    def has_counted():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            own = answer.read().decode()
        assert 'correnteza_query_last_success_timestamp_seconds{layer="bronze",table="bcb_sgs"}' in own
        return (
            'correnteza_batch_rows_total{layer="bronze",outcome="read"} 5.0' in own
            and 'correnteza_batch_duration_seconds_count{layer="bronze",phase="total"}' in own
        )

    wait_for(has_counted, "the driver tells its batch")
    driver.kill_tree()
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    send(settings, topic, 3, at, first=5)
    assert wrong(monitor, settings, topic, 5, at.timestamp()) == []
    assert value(monitor, "up", "driver") == 0
    assert value(monitor, "query_state", *SGS, "behind") == 1
    table = DeltaTable(str(settings.lake_root / "bronze/bcb_sgs")).to_pyarrow_table(columns=["kafka_timestamp"])
    newest = max(table["kafka_timestamp"].to_pylist()).timestamp()
    assert value(monitor, "newest_event_timestamp_seconds", *SGS) == pytest.approx(newest, abs=0.001)
