"""How far topics go: the first offsets that retention has left, and the last stable ones."""

from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from foundation import kafka
from foundation.errors import TransientError
from foundation.leaders import once_led
from stream_jobs.running.jobs import Broker
from stream_jobs.running.topic_ids import TIMEOUT_SECONDS

LEADER_SECONDS = 10.0
"""A topic that was just created, or whose broker has just started, has a leader in a moment."""

FIRST, LAST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]

Offsets = dict[str, dict[int, int]]
"""Topic → partition → offset."""


class Bounds(NamedTuple):
    """A topic's first offsets by partition, and its last stable ones, exclusive."""

    first: dict[int, int]
    ends: dict[int, int]


def bounds(broker: Broker, topic: str) -> Bounds:
    """Both ends of a topic. Raises: TransientError, as `ends`."""
    first, last = _offsets(_admin(broker), [topic], FIRST, LAST)
    return Bounds(first.get(topic, {}), last.get(topic, {}))


def first_offsets(broker: Broker, topic: str) -> dict[int, int]:
    """Partition → the first offset that is still there. Raises: TransientError, as `ends`."""
    (first,) = _offsets(_admin(broker), [topic], FIRST)
    return first.get(topic, {})


def ends(admin: AdminClient, names: Iterable[str]) -> Offsets:
    """The last stable offsets of topics, in two requests; a topic that does not exist is left out.

    Raises:
        TransientError: the broker does not answer, or a partition stays without a leader.
    """
    (last,) = _offsets(admin, list(names), LAST)
    return last


def _admin(broker: Broker) -> AdminClient:
    return AdminClient(kafka.client(broker.bootstrap))


def _offsets(admin: AdminClient, names: list[str], *specs: OffsetSpec) -> list[Offsets]:
    try:
        return once_led(lambda: _asked(admin, names, specs), LEADER_SECONDS)
    except KafkaException as error:
        raise TransientError(f"the broker does not say how far its topics go: {error}") from error


def _asked(admin: AdminClient, names: list[str], specs: Iterable[OffsetSpec]) -> list[Offsets]:
    known = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    there = [name for name in names if name in known]
    places = [TopicPartition(name, each) for name in there for each in known[name].partitions]
    found: list[Offsets] = []
    for spec in specs:
        of_topics: Offsets = {name: {} for name in there}
        asked = admin.list_offsets(
            dict.fromkeys(places, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=TIMEOUT_SECONDS,
        )
        for place, answer in asked.items():
            of_topics[place.topic][place.partition] = answer.result().offset
        found.append(of_topics)
    return found
