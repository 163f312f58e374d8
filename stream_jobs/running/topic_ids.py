"""The ids of topics. The id distinguishes a recreated topic from the earlier topic of the same name."""

from collections.abc import Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from foundation import kafka
from foundation.errors import TransientError
from foundation.topic_answers import unless_unknown

TIMEOUT_SECONDS = 30
"""Seconds for one request to the broker."""


def current_ids(bootstrap: str, topics: Iterable[str]) -> dict[str, str]:
    """Topic → the id that a topic gets when it is created, and gets again when it is created again.

    Topics that do not exist are left out. Raises: TransientError when the broker does not answer.
    """
    names = list(topics)
    if not names:
        return {}
    found = {}
    # Held while its answers are awaited: they die with it.
    admin = AdminClient(kafka.client(bootstrap, {"socket.timeout.ms": TIMEOUT_SECONDS * 1000}))
    for topic, answer in admin.describe_topics(TopicCollection(names)).items():
        try:
            described = unless_unknown(answer)
        except KafkaException as error:
            raise TransientError(f"cannot describe topic {topic}: {error}") from error
        if described is not None:
            found[topic] = str(described.topic_id)
    return found
