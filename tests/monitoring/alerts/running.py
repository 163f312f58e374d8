"""A real `correnteza up` on recorded publications, for tests of alerts and dashboards.

The sources' answers and their clock are a replay's; Kafka, Spark, the lake, the canary and the metrics are real and go
by the real clock. The sources' clock is as much faster as the rules are shorter, so a retry comes in seconds, too.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from correnteza.demo import recorded_at
from correnteza.embedded import ports
from correnteza.embedded.processes import clear_leftovers
from correnteza.settings import Settings
from foundation import clock
from replay.server import DAYS, Replay, serve
from schemas.contracts import load
from tests.helpers import UNMODIFIED, Command, environment, run_to_its_end, wait_for

CANARY_SECONDS = 5
START_SECONDS = 600
"""A JVM for broker, registry and driver each, on a machine that may do other things."""
SETTLE_SECONDS = 1500
"""All sources are polled once, and what they publish passes every layer."""
FRESH_SECONDS = 120
"""A canary in gold that is younger has come in the present, not before a pause."""
LOOK_SECONDS = 60.0
MOST_RECORDS = 200

Message = tuple[bytes, bytes]
"""Key and value."""


@dataclass
class Running:
    """One `up`, and what a test does to it.

    Attributes:
        targets: job of Prometheus → ports.
    """

    up: Command
    settings: Settings
    replay: Replay
    targets: Mapping[str, Sequence[int]]
    variables: Mapping[str, str]
    folder: Path

    def command(self, *arguments: str) -> str:
        """The output of a command in the same home."""
        done = run_to_its_end(self.settings, self.folder, UNMODIFIED, arguments, dict(self.variables))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *arguments: str) -> int:
        """The exit code of a command that may fail."""
        return run_to_its_end(self.settings, self.folder, UNMODIFIED, arguments, dict(self.variables)).returncode

    def freeze(self, name: str) -> None:
        """Suspend a component and its children, as if the machine were paging or a disk did not answer."""
        for process in self._tree(name):
            process.suspend()

    def thaw(self, name: str) -> None:
        """Resume it."""
        for process in self._tree(name):
            process.resume()

    def status(self) -> Any:
        """What the monitor says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.targets['monitor'][0]}/status.json", timeout=30) as answer:
            return json.load(answer)

    def wait_settled(self) -> None:
        """Until the first publications have passed every layer, and a canary has come to gold."""

        def is_settled() -> bool:
            assert self.up.poll() is None, self.up.said
            try:
                found = self.status()
            except OSError:
                return False  # the monitor has not started yet
            newest = found["canary"].get("gold", {}).get("seconds")
            # A query whose first batch is under way has not started, and everything waits for it.
            is_read = not any(each["records_behind"] for each in found["layers"])
            polled = all(each["outcomes"] for each in found["sources"])
            return polled and is_read and newest is not None and newest < FRESH_SECONDS

        wait_for(is_settled, "the first publications in every layer", SETTLE_SECONDS)

    def worst_canary(self) -> float:
        """How old the newest canary in gold grows before the next one comes, in seconds."""
        ages, until = [0.0], time.monotonic() + LOOK_SECONDS

        def is_over() -> bool:
            ages.append(self.status()["canary"]["gold"]["seconds"])
            return time.monotonic() > until

        wait_for(is_over, "canaries in gold", 10 * LOOK_SECONDS)
        return max(ages)

    def published(self, dataset: str) -> list[Message]:
        """Key and value of a topic's first records, as they were published."""
        topic, asked = load(dataset).topic, {"bootstrap.servers": self.settings.bootstrap, "log_level": 0}
        consumer = Consumer({**asked, "group.id": "alerts", "isolation.level": "read_committed"})
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
        found = consumer.consume(MOST_RECORDS, timeout=20)
        consumer.close()
        return [(each.key(), each.value()) for each in found if each.error() is None]

    def send(self, dataset: str, messages: Sequence[Message], *, age: float = 0.0) -> None:
        """Publish some once. Args: age: seconds before now that their timestamps say."""
        producer = Producer({"bootstrap.servers": self.settings.bootstrap, "log_level": 0})
        at = int((time.time() - age) * 1000)
        for key, value in messages:
            producer.produce(load(dataset).topic, value, key, timestamp=at)
        assert producer.flush(60) == 0

    @contextmanager
    def sending(self, dataset: str, messages: Sequence[Message], *, rate: int, age: float = 0.0) -> Iterator[None]:
        """The same again and again while the block runs. Args: rate: a second."""
        stop = threading.Event()
        producer = Producer({"bootstrap.servers": self.settings.bootstrap, "log_level": 0, "message.timeout.ms": 0})

        def run() -> None:
            number = 0
            while not stop.wait(0.1):
                at = int((time.time() - age) * 1000)
                for _ in range(max(1, rate // 10)):
                    key, value = messages[number % len(messages)]
                    producer.produce(load(dataset).topic, value, key, timestamp=at)
                    number += 1
                producer.poll(0)

        thread = threading.Thread(target=run, name=f"send-{dataset}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            producer.flush(30)

    def _tree(self, name: str) -> list[psutil.Process]:
        pid, _ = json.loads((self.settings.run / "children.json").read_text())[name]
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]


@contextmanager
def running(folder: Path, factor: float, *components: str) -> Iterator[Running]:
    """`up` with these components, or all, while the block runs. Args: factor: of the sources' clock."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {job: ports.free() for job in ("monitor", "stream", "schedule")}
    settings = Settings(home=folder / "home")
    with serve(day=DAYS[-1]) as replay:
        variables = {
            "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
            clock.VARIABLE: f"{recorded_at(replay.day).isoformat()}@{factor:g}@{time.time()}",
            "CORRENTEZA_MONITOR_PORT": str(own["monitor"]),
            "CORRENTEZA_STREAM_METRICS_PORT": str(own["stream"]),
            "CORRENTEZA_SCHEDULE_METRICS_PORT": str(own["schedule"]),
            "CORRENTEZA_MONITOR_INTERVAL_SECONDS": "1",
            "CORRENTEZA_CANARY_INTERVAL_SECONDS": str(CANARY_SECONDS),
            "CORRENTEZA_MAINTENANCE_INTERVAL_SECONDS": "60",
        }
        up = Command(("up", *components), folder, environment(settings, variables), folder / "up.out")
        try:
            _wait(lambda: "ready: " in up.said, up)
            yield Running(up, settings, replay, {job: [port] for job, port in own.items()}, variables, folder)
        finally:
            up.kill_tree()
            clear_leftovers(settings.run.resolve())


def _wait(condition: Callable[[], bool], up: Command) -> None:
    def is_met() -> bool:
        assert up.poll() is None, up.said
        return condition()

    wait_for(is_met, "up to be ready", START_SECONDS)
