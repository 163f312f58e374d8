"""The leader's canary: one record in one transaction, sent repeatedly by a thread.

It is sent by the real clock, in a replay too, because it measures how long the pipeline takes. Failures are logged,
and the next canary is sent at its time: people notice the failure by an old canary in gold (docs/adr/0022).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from confluent_kafka import KafkaException

from foundation import log
from foundation.errors import CorrentezaError
from producers.encode import record
from producers.publish import Publisher
from schemas.contracts import CANARY, Contract, load

SOURCE = "canary"
"""Its source id, and the end of its transactional id. No real source has this name."""

LOOK_SECONDS = 5.0
"""How often a worker checks whether it leads."""

Register = Callable[[list[Contract], str], Mapping[str, int]]
"""As `Registry.register`: (contracts, prefix) → schema ids by name."""


@dataclass
class Canary:
    """One worker's canary.

    Attributes:
        every: seconds between two.
    """

    bootstrap: str
    prefix: str
    register: Register
    every: float
    _publisher: Publisher | None = field(default=None, init=False)

    def watch(self, is_leader: Callable[[], bool], stopping: threading.Event) -> None:
        """Start the thread. It ends when told to stop; nobody waits for it."""
        threading.Thread(target=self._run, args=(is_leader, stopping), name="canary", daemon=True).start()

    def send(self) -> None:
        """Publish one.

        Raises:
            FencedError: another worker leads and has sent one meanwhile.
            DependencyUnavailable: the broker or the registry is away, or refuses.
        """
        contract = load(CANARY)
        schema_id = self.register([contract], self.prefix)[CANARY]
        if self._publisher is None:
            publisher = Publisher(self.bootstrap, self.prefix, SOURCE)
            publisher.start()
            self._publisher = publisher
        publisher = self._publisher

        def fill() -> None:
            # Created at each attempt to send, like its timestamp in Kafka.
            values = {"source": SOURCE, "sent_at": datetime.now(UTC)}
            publisher.place(CANARY, [record(contract, schema_id, values)])

        try:
            publisher.transact(fill)
        except (CorrentezaError, KafkaException):
            self._publisher = None  # after a fatal error of a transaction a new producer is needed
            raise

    def _run(self, is_leader: Callable[[], bool], stopping: threading.Event) -> None:
        due = time.monotonic()
        while not stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.every, time.monotonic())
            if not is_leader():
                due = time.monotonic() + min(self.every, LOOK_SECONDS)
                continue
            try:
                self.send()
            except Exception as error:  # any error: if this thread died, the pipeline would look broken
                log.get_logger("schedule").warning("canary_not_sent", error=str(error))
