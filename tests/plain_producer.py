"""A simple producer without transactions and with any `acks`, which controls use in the publisher."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Producer


class PlainProducer:
    """Takes the place of the transactional producer; beginning and committing do nothing.

    Records are visible to every reader at once, also if the process dies in between.
    """

    def __init__(self, asked: Mapping[str, Any], *, acks: str = "1") -> None:
        kept = {name: value for name, value in asked.items() if not name.startswith("transaction")}
        self._producer = Producer({**kept, "acks": acks})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def init_transactions(self, *_: float) -> None:
        """No producer is fenced."""

    def begin_transaction(self) -> None:
        """There is none."""

    def commit_transaction(self, *_: float) -> None:
        """What was sent is there already."""

    def abort_transaction(self, *_: float) -> None:
        """What was sent stays."""
