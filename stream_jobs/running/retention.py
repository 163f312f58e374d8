"""Records that Kafka's retention removed before bronze read them: named before a query starts, never skipped.

Spark fails on its own (`failOnDataLoss`) where a running query meets such a range; it is then restarted, and meets
the check here, which says which offsets are missing and what can be done.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from foundation.errors import UnsafeState


class Missing(NamedTuple):
    """Offsets [first, until) of a partition, removed and not read. Some may have been transaction markers."""

    partition: int
    first: int
    until: int


def missing(position: Mapping[int, int], first: Mapping[int, int]) -> list[Missing]:
    """The offsets between a query's next ones and the first retained ones.

    Args:
        position: partition → next offset to read; one that is absent was never read.
    """
    return [
        Missing(partition, position.get(partition, 0), retained)
        for partition, retained in sorted(first.items())
        if position.get(partition, 0) < retained
    ]


def require_nothing_missing(query: str, topic: str, position: Mapping[int, int], first: Mapping[int, int]) -> None:
    """Raises: UnsafeState when retention has removed what the query has not read; every range is named."""
    if gaps := missing(position, first):
        raise UnsafeState(
            f"retention removed records of {topic} before {query} read them: {described(gaps)}",
            hint=f"correnteza checkpoint adopt {query} --accept-loss, to record the loss and continue after it",
        )


def described(gaps: Sequence[Missing]) -> str:
    """`partition 0 offsets 5-11, partition 2 offsets 3-3`: both ends inclusive."""
    return ", ".join(f"partition {gap.partition} offsets {gap.first}-{gap.until - 1}" for gap in gaps)
