"""How many records wait for a query, and since when: from Kafka for bronze, from the tables' logs for the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from monitoring.lag.delta_log import Unread
from monitoring.lag.waiting import Waiting


@dataclass(frozen=True)
class Behind:
    """The records that wait for a query.

    Attributes:
        records: None when it cannot be known.
        oldest_at: time of the oldest of them, seconds since the epoch; None when none waits, or it cannot be known.
        is_age_known: whether `oldest_at` is known for all partitions.
    """

    records: int | None
    oldest_at: float | None
    is_age_known: bool

    def seconds(self, now: float) -> float | None:
        """Age of the oldest record that waits, 0 when none does; None when it cannot be known."""
        if not self.is_age_known:
            return None
        return 0.0 if self.oldest_at is None else max(0.0, now - self.oldest_at)


UNKNOWN = Behind(None, None, is_age_known=False)


def of_topic(waiting: Waiting | None, contract: str) -> Behind:
    """The records that wait for bronze. Args: waiting: None if Kafka does not answer."""
    if waiting is None or contract not in waiting.offsets:
        return UNKNOWN
    offsets = waiting.offsets[contract]
    times = [waiting.oldest[where] for where in offsets if where in waiting.oldest]
    oldest = min((at for at in times if at is not None), default=None)
    return Behind(sum(count for _, count in offsets.values()), oldest, is_age_known=len(times) == len(offsets))


def of_tables(unread: Sequence[Unread]) -> Behind:
    """The rows that wait for a query of silver or gold. Args: unread: of each table that it reads."""
    oldest = min((each.oldest_at for each in unread if each.oldest_at is not None), default=None)
    return Behind(sum(each.records for each in unread), oldest, is_age_known=True)
