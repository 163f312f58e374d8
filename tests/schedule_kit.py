"""Code for the tests of the schedule: workers that are restarted, and readers of the queue topics."""

import json
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers import sources
from schemas import queues
from tests.helpers import Command, wait_for


def replay_clock(start: datetime, factor: float) -> str:
    """The variable's value with which several processes agree that it is `start` now."""
    return f"{start.isoformat()}@{factor}@{time.time()}"


def values(bootstrap: str, topic: str) -> list[bytes]:
    """The value of every record of a plain topic, by a reader of the test's own."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "oracle",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
    )
    found = []
    for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
        place = TopicPartition(topic, partition, 0)
        end = wait_for(lambda place=place: _end(consumer, place), f"the end of {topic}")[0]
        offset = 0
        if end:
            consumer.assign([place])
        while offset < end:
            message = consumer.poll(30)
            assert message is not None, "the broker does not answer"
            assert not message.error(), message.error()
            offset = message.offset() + 1
            found.append(message.value())
    consumer.close()
    return found


def read(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """Every record of a JSON topic."""
    return [json.loads(value) for value in values(bootstrap, topic)]


def _end(consumer: Consumer, place: TopicPartition) -> tuple[int] | None:
    try:
        return (consumer.get_watermark_offsets(place, timeout=30)[1],)
    except KafkaException:
        return None  # a topic just created: its leader is known in a moment


def requests(bootstrap: str, prefix: str) -> list[dict[str, Any]]:
    """Everything in poll.requests."""
    return read(bootstrap, prefix + queues.REQUESTS)


def results_by_slot(bootstrap: str, prefix: str) -> dict[str, list[str]]:
    """Slot → each outcome it has had, in order."""
    found = defaultdict(list)
    for record in read(bootstrap, prefix + queues.OUTCOMES):
        found[record["slot_id"]].append(record["outcome"])
    return found


def begun(bootstrap: str, prefix: str) -> datetime:
    """Right before the slot with which a fresh schedule began: the latest one when its first worker was ready."""
    records = read(bootstrap, prefix + queues.OUTCOMES)
    return min(datetime.fromisoformat(record["scheduled_for"]) for record in records) - timedelta(seconds=1)


def slots_between(names: Iterable[str], after: datetime, until: datetime) -> set[str]:
    """The slots that the calendars name in (after, until]."""
    return {
        f"{name}@{slot:%Y-%m-%dT%H:%M:%SZ}"
        for name in names
        for slot in sources.load(name).calendar.between(after, until)
    }


def health(worker: Command) -> dict[str, Any] | None:
    """A worker's health page; None while it does not answer."""
    for line in worker.said.splitlines():
        if '"worker_started"' in line:
            try:
                with urllib.request.urlopen(json.loads(line)["health"], timeout=2) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                return dict(json.load(error))
            except OSError:
                return None
    return None


class WorkerPool:
    """Workers of one schedule; one that has ended is started again, as by a supervisor."""

    def __init__(self, start: Callable[[], Command], count: int) -> None:
        self._start = start
        self.workers = [start() for _ in range(count)]
        self.ended: list[Command] = []

    def restart_ended(self) -> None:
        """Start again what has ended."""
        for index, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.ended.append(worker)
                self.workers[index] = self._start()

    def leader(self) -> Command | None:
        """A worker whose health page says that it leads."""
        self.restart_ended()
        for worker in self.workers:
            if worker.poll() is None and (health(worker) or {}).get("is_leader"):
                return worker
        return None

    def wait_for_leader(self) -> Command:
        """The leader, as soon as there is one."""
        return wait_for(self.leader, "a leader")
