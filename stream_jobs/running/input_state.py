"""The state of a query's inputs, as `suspension` compares it. It is read twice a second, and costs very little."""

import threading
from collections.abc import Mapping, Sequence

from confluent_kafka.admin import AdminClient

from foundation import kafka
from foundation.errors import TransientError
from sinks import tables
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_offsets import ends

LOOK_SECONDS = 1.0


class TableVersions:
    """The newest versions of tables; queries that read the same table share one number."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def of(self, *paths: str) -> tuple[int, ...]:
        """The newest version of each; -1 of one that is not there yet.

        Costs one check per table whether the next commit's file exists, and one more per commit found.
        """
        return tuple(self._newest(path) for path in paths)

    def _newest(self, path: str) -> int:
        version = self._versions.get(path)
        if version is None:
            version = tables.version(path) if tables.exists(path) else -1
        while tables.has_commit(path, version + 1):
            version += 1
        self._versions[path] = version
        return version


class TopicEnds:
    """The last stable offsets of some topics, read by a thread every second, so that `of` never waits.

    While the broker does not answer they are not known.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self._topics = topics
        self._admin = AdminClient(kafka.client(broker.bootstrap))
        self._ends: Mapping[str, Mapping[int, int]] = {}

    def watch(self, stop: threading.Event) -> None:
        """Read the offsets once, then every second until told to stop."""
        self._look()
        threading.Thread(target=self._ask, args=(stop,), name="topic-ends", daemon=True).start()

    def of(self, topic: str) -> frozenset[tuple[int, int]] | None:
        """Partitions and their ends; None while they are not known."""
        found = self._ends.get(topic)
        return None if found is None else frozenset(found.items())

    def _ask(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        try:
            self._ends = ends(self._admin, self._topics)
        except TransientError:
            self._ends = {}
