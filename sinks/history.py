"""What `apply_changes` asks about the rows that came before a batch, behind one seam: bronze in the driver."""

from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from sinks.target import Bounds

CLOSED = pa.schema(
    {
        "topic_id": pa.string(),
        "kafka_partition": pa.int32(),
        "kafka_offset": pa.int64(),
        "rules": pa.list_(pa.string()),
    }
)
"""Of a closed letter: where its record stands, and what it was set aside for. Whatever the rules are today, it stays
aside: its copy stands for it, or somebody has discarded it (docs/adr/0027)."""

CLOSED_PLACE = ("topic_id", "kafka_partition", "kafka_offset")


@dataclass(frozen=True)
class Seen:
    """How far a dataset's clocks had come before a batch, in microseconds since the epoch; None before the first row.

    Attributes:
        newest: the greatest `known_from` of any record or withdrawal. Too great a value is safe, and costs time.
        withdrawn: the greatest of any withdrawal.
    """

    newest: int | None
    withdrawn: int | None


class History(Protocol):
    """A dataset's rows so far, those of the batch among them."""

    @property
    def was_repairing(self) -> bool:
        """Whether an earlier attempt at this batch began to correct keys and did not finish."""
        ...

    def seen(self) -> Seen:
        """Before the batch; asked only where the answer can matter, since it may have to be looked for."""
        ...

    def rows_of(self, keys: pa.Table, within: Bounds) -> pa.Table:
        """Every record and withdrawal of some keys, as `apply_changes` takes them.

        Args:
            keys: distinct, the key columns alone.
            within: least and greatest value of the column that the target is pruned by.
        """
        ...

    def withdrawn_keys(self) -> pa.Table:
        """The keys of all withdrawals."""
        ...

    def closed(self) -> pa.Table:
        """Rows that were set aside and whose letters are closed: the columns of `CLOSED`."""
        ...

    def begin_repair(self) -> None:
        """Note, on disk, that keys are about to be repaired."""
        ...

    def end(self, batch: Seen) -> None:
        """Note that the batch is applied, and its own greatest clocks."""
        ...
