"""The part `broker`: what waits for bronze, how long the topics keep it, and how the partitions are."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from foundation import kafka
from foundation.errors import UnsafeState
from monitoring.lag.kafka import Cluster
from monitoring.lag.reachable import no_answer
from monitoring.lag.spark_checkpoints import Progress
from monitoring.lag.waiting import ANSWER_WITHIN_SECONDS, Waiting, waiting_for_bronze
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.parts import PartlyKnown

RETENTION_SECONDS = 60.0
"""How often topics are asked how long they keep records."""


@dataclass(frozen=True)
class Kafka:
    """What the broker says.

    Attributes:
        waiting: None where only the partitions' health is known.
        positions: query of bronze → the checkpoint by which `waiting` was asked.
        retention: topic → seconds; None for one that keeps records for ever.
        offline, under_replicated: partitions of the pipeline's topics.
    """

    waiting: Waiting | None
    positions: Mapping[str, Progress | None]
    retention: Mapping[str, float | None]
    offline: int
    under_replicated: int


class BrokerPart:
    """Asks one cluster, whose address may change.

    Args:
        bootstrap: gives the address; raises DependencyUnavailable while there is none.
        topics: contract → topic. queries: contract → query of bronze.
    """

    def __init__(
        self,
        bootstrap: Callable[[], str],
        checkpoints: Checkpoints,
        topics: Mapping[str, str],
        queries: Mapping[str, str],
    ) -> None:
        self._bootstrap = bootstrap
        self._checkpoints = checkpoints
        self._topics = topics
        self._queries = queries
        self._asked = ""
        self._retention: dict[str, float | None] = {}
        self._retention_due = 0.0

    def look(self) -> Kafka:
        """Ask. Raises: DependencyUnavailable; PartlyKnown when partitions without a leader keep the rest unknown."""
        self._connect(self._bootstrap())
        offline, under_replicated = self._partitions()
        # Read here and not from the other part: what waits is known by these positions and no others.
        positions = {name: self._progress(query) for name, query in self._queries.items()}
        waiting, away = waiting_for_bronze(lambda: self._cluster, self._topics, positions)
        if away is not None:
            raise PartlyKnown(Kafka(None, {}, self._retention, offline, under_replicated), away)
        assert waiting is not None
        if time.monotonic() >= self._retention_due:
            self._retention = self._kept(list(waiting.topics))
            self._retention_due = time.monotonic() + RETENTION_SECONDS
        return Kafka(waiting, positions, self._retention, offline, under_replicated)

    def _connect(self, bootstrap: str) -> None:
        if bootstrap != self._asked:
            self._cluster = Cluster(bootstrap, rpc_seconds=ANSWER_WITHIN_SECONDS)
            self._admin = AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": int(ANSWER_WITHIN_SECONDS * 1000)}))
            self._asked, self._retention_due = bootstrap, 0.0

    def _progress(self, query: str) -> Progress | None:
        try:
            return self._checkpoints.progress(query)
        except (OSError, UnsafeState):
            return None  # the part `checkpoints` tells it, and then bronze's lag is not known

    def _partitions(self) -> tuple[int, int]:
        wanted = set(self._topics.values())
        try:
            found = self._admin.list_topics(timeout=ANSWER_WITHIN_SECONDS).topics
        except KafkaException as error:
            raise no_answer(self._asked, error.args[0].str()) from error
        partitions = [each for name in wanted & found.keys() for each in found[name].partitions.values()]
        return (
            sum(each.leader < 0 for each in partitions),
            sum(len(each.isrs) < len(each.replicas) for each in partitions),
        )

    def _kept(self, topics: list[str]) -> dict[str, float | None]:
        if not topics:
            return {}
        asked = self._admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in topics], request_timeout=ANSWER_WITHIN_SECONDS
        )
        kept: dict[str, float | None] = {}
        try:
            for resource, future in asked.items():
                milliseconds = int(future.result()["retention.ms"].value)
                kept[resource.name] = None if milliseconds < 0 else milliseconds / 1000
        except KafkaException as error:
            raise no_answer(self._asked, error.args[0].str()) from error
        return kept
