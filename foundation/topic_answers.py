"""What a broker answers about one topic, which may not exist or may have been deleted a moment ago."""

from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")


def unless_unknown(answer: Future[T]) -> T | None:
    """The answer, once it has come; None if the broker knows no such topic. Raises: KafkaException: another error."""
    try:
        return answer.result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
        return None
