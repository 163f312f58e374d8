"""Transactions that nobody ends. No reader of committed records comes past one, and since lag ends there too, such a
partition looks read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitoring.lag.kafka import Cluster
from monitoring.lag.kafka_places import Place
from monitoring.lag.waiting import ANSWER_WITHIN_SECONDS

LONGEST_SECONDS = 900.0
"""How long a transaction may be open: a broker's `transaction.max.timeout.ms` by default. After it, or sooner, the
broker aborts the transaction; if it does not, nobody will."""


@dataclass(frozen=True)
class Hanging:
    """A partition behind whose last stable offset nothing can be read.

    Attributes:
        offset: of the first record of the transaction.
        since: that record's Kafka timestamp, seconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    since: float


def hanging(cluster: Cluster, names: Iterable[str], now: float) -> list[Hanging]:
    """Where a transaction has been open for longer than it may be, by the timestamp of its first record.

    The topics must be written by producers that leave the timestamp to Kafka's client, as our own do.

    Raises: DependencyUnavailable when the cluster does not answer.
    """
    held_back = cluster.held_back(cluster.topics(names).values())
    began = cluster.oldest_timestamps(held_back, ANSWER_WITHIN_SECONDS, is_committed=False)
    return [
        Hanging(*where, held_back[where], at)
        for where, at in sorted(began.items())
        if at is not None and now - at > LONGEST_SECONDS
    ]


@dataclass
class StandStill:
    """How long each last stable offset has stood where it is, while there were records behind it."""

    _since: dict[Place, tuple[int, float]] = field(default_factory=dict)

    def seconds(self, held_back: Mapping[Place, int], now: float) -> dict[str, float]:
        """Topic → seconds, of its partition that has stood longest. Topics where nothing is held back are left out.

        Args:
            held_back: (topic, partition) → last stable offset, as `Cluster.held_back` has it.
            now: seconds by a clock that only goes forward.
        """
        known = self._since
        self._since = {
            where: known[where] if where in known and known[where][0] == stable else (stable, now)
            for where, stable in held_back.items()
        }
        found: dict[str, float] = {}
        for (topic, _), (_, since) in self._since.items():
            found[topic] = max(found.get(topic, 0.0), now - since)
        return found
