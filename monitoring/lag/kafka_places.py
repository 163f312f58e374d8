"""Read single records of many partitions by one consumer: it reads on to near offsets and seeks far ones."""

import time
from collections import deque
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

# Up to this distance it reads on, beyond it seeks: a seek costs about as much.
_NEAR = 500

# Only few records are wanted: fetching ahead would read the whole topic.
SETTINGS: Mapping[str, int] = {"queued.min.messages": 1, "max.partition.fetch.bytes": 1 << 16}
"""Settings for a consumer that is passed to `collect`; it must also report the end of a partition."""

Place = tuple[str, int]
"""Topic and partition."""


def collect(
    consumer: Consumer, places: Mapping[Place, Sequence[int]], silence: float
) -> dict[tuple[str, int, int], Message]:
    """The records at these offsets of (topic, partition): (topic, partition, offset) → record.

    An offset without a record that is still retained is left out.

    Args:
        silence: seconds without an answer after which TimeoutError is raised.

    Raises:
        TimeoutError: the broker was silent before all was found or ruled out.
        KafkaException: the client refuses.
    """
    left = {where: deque(sorted(offsets)) for where, offsets in places.items() if offsets}
    begins = {where: wanted[0] for where, wanted in left.items()}
    found: dict[tuple[str, int, int], Message] = {}
    consumer.assign([TopicPartition(*where, begin) for where, begin in begins.items()])
    heard = time.monotonic()
    while left:
        message = consumer.poll(silence)
        error = None if message is None else message.error()
        if message is None or (error is not None and error.code() != KafkaError._PARTITION_EOF):
            if time.monotonic() - heard >= silence:
                raise TimeoutError
            continue
        heard = time.monotonic()
        where = (message.topic() or "", message.partition() or 0)
        # Records that were fetched before a pause or a seek may still arrive.
        if where not in left or (error is None and _offset(message) < begins[where]):
            continue
        wanted = left[where]
        if error is not None:
            wanted.clear()
        elif _passes(wanted, _offset(message)):
            found[*where, _offset(message)] = message
        if not wanted:
            del left[where]
            consumer.pause([TopicPartition(*where)])
        elif wanted[0] > _offset(message) + _NEAR:
            begins[where] = wanted[0]
            consumer.seek(TopicPartition(*where, wanted[0]))
    return found


def _passes(wanted: deque[int], offset: int) -> bool:
    """Remove the wanted offsets up to this one; returns whether this one was wanted."""
    while wanted and wanted[0] < offset:
        wanted.popleft()
    if wanted and wanted[0] == offset:
        wanted.popleft()
        return True
    return False


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else int(offset)
