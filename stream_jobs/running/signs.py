"""Signs of what a query's inputs are now (see `rest`). They are asked for twice a second, and cost next to nothing."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from confluent_kafka.admin import AdminClient

from foundation.errors import TransientError
from sinks import tables
from stream_jobs.running.jobs import Broker
from stream_jobs.running.unread import ends

LOOK_SECONDS = 1.0


class TableVersions:
    """The newest versions of some tables; -1 of one that is not there yet."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._versions = {path: tables.version(path) if tables.exists(path) else -1 for path in paths}

    def __call__(self) -> tuple[int, ...]:
        """One look for the next commit's file per table, and one more per commit found."""
        self._versions = {path: _newest(path, version) for path, version in self._versions.items()}
        return tuple(self._versions.values())


class TopicEnds:
    """The last stable offsets of some topics, as a thread asks for them every second: who looks never waits.

    While the broker does not answer they are not known.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self._topics = topics
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        self._ends: Mapping[str, Mapping[int, int]] = {}

    def watch(self, stop: threading.Event) -> None:
        """Begin to ask, until told to stop."""
        threading.Thread(target=self._ask, args=(stop,), name="topic-ends", daemon=True).start()

    def of(self, topic: str) -> frozenset[tuple[int, int]] | None:
        """Partitions and their ends; None while they are not known."""
        found = self._ends.get(topic)
        return None if found is None else frozenset(found.items())

    def _ask(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            try:
                self._ends = ends(self._admin, self._topics)
            except TransientError:
                self._ends = {}


def _newest(path: str, version: int) -> int:
    log = Path(path) / "_delta_log"
    while (log / f"{version + 1:020}.json").exists():
        version += 1
    return version
