"""The part `broker`: the records that wait for bronze, the retention of the topics, and the health of the
partitions."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from foundation import kafka
from foundation.errors import UnsafeState
from monitoring.lag.hanging import StandStill
from monitoring.lag.kafka import Cluster
from monitoring.lag.reachable import no_answer
from monitoring.lag.spark_checkpoints import Progress
from monitoring.lag.waiting import ANSWER_WITHIN_SECONDS, Waiting, waiting_for_bronze
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.parts import PartlyKnown

RETENTION_SECONDS = 60.0
"""How often the retention of the topics is read."""


@dataclass(frozen=True)
class Kafka:
    """The answer of the broker.

    Attributes:
        waiting: None if only the partitions' health is known.
        positions: query of bronze → the checkpoint from which `waiting` was computed.
        retention: topic → seconds; None for one that keeps records forever.
        held_back: topic → how long an open transaction has kept records from readers, in seconds; 0 where none does.
        offline, under_replicated: partitions of the pipeline's topics.
    """

    waiting: Waiting | None
    positions: Mapping[str, Progress | None]
    retention: Mapping[str, float | None]
    held_back: Mapping[str, float]
    offline: int
    under_replicated: int


class BrokerPart:
    """Reads one cluster, whose address may change.

    Args:
        bootstrap: returns the address; raises DependencyUnavailable while there is none.
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
        """Read the cluster. Raises: DependencyUnavailable; PartlyKnown when partitions have no leader, so that only
        their health is known."""
        self._connect(self._bootstrap())
        offline, under_replicated = self._partitions()
        # Read here and not taken from the other part: the lag must be computed from these positions.
        positions = {name: self._progress(query) for name, query in self._queries.items()}
        waiting, away = waiting_for_bronze(lambda: self._cluster, self._topics, positions)
        if away is not None:
            raise PartlyKnown(Kafka(None, {}, self._retention, {}, offline, under_replicated), away)
        assert waiting is not None
        stable = self._cluster.held_back(waiting.topics.values())
        held_back = dict.fromkeys(waiting.topics, 0.0) | self._stand_still.seconds(stable, time.monotonic())
        if time.monotonic() >= self._retention_due:
            self._retention = self._kept(list(waiting.topics))
            self._retention_due = time.monotonic() + RETENTION_SECONDS
        return Kafka(waiting, positions, self._retention, held_back, offline, under_replicated)

    def _connect(self, bootstrap: str) -> None:
        if bootstrap != self._asked:
            self._cluster = Cluster(bootstrap, rpc_seconds=ANSWER_WITHIN_SECONDS)
            self._admin = AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": int(ANSWER_WITHIN_SECONDS * 1000)}))
            self._stand_still = StandStill()
            self._asked, self._retention_due = bootstrap, 0.0

    def _progress(self, query: str) -> Progress | None:
        try:
            return self._checkpoints.progress(query)
        except (OSError, UnsafeState):
            return None  # the part `checkpoints` reports it; bronze's lag is then unknown

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
