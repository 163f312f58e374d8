"""Questions about partitions, one of which may have no leader for a moment: its topic was just created, or its broker
has just started."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

_LEADERLESS = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}


def once_led(ask: Callable[[], T], seconds: float) -> T:
    """The answer of a question, asked again while a partition has no leader.

    Raises: KafkaException: another error, or there is still no leader after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _LEADERLESS or time.monotonic() > deadline:
                raise
        time.sleep(0.1)
