"""The interface by which `apply_changes` reads the rows before a batch; in the driver it reads bronze."""

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
"""The columns of a closed dead letter: the place of its record, and the rules that it broke. The record stays in
quarantine whatever the rules are today, because its copy replaces it, or somebody has discarded it (docs/adr/0027)."""

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
    """A dataset's rows so far, including those of the batch."""

    @property
    def was_repairing(self) -> bool:
        """Whether an earlier attempt at this batch began to correct keys and did not finish."""
        ...

    def seen(self) -> Seen:
        """The clocks before the batch. Called only if they matter, because finding them may take long."""
        ...

    def rows_of(self, keys: pa.Table, within: Bounds) -> pa.Table:
        """Every record and withdrawal of some keys, in the form that `apply_changes` takes.

        Args:
            keys: distinct, the key columns alone.
            within: least and greatest value of the column that the target is pruned by.
        """
        ...

    def withdrawn_keys(self) -> pa.Table:
        """The keys of all withdrawals."""
        ...

    def closed(self) -> pa.Table:
        """Rows whose dead letters are closed: the columns of `CLOSED`."""
        ...

    def begin_repair(self) -> None:
        """Note, on disk, that keys are about to be repaired."""
        ...

    def end(self, batch: Seen) -> None:
        """Note that the batch is applied, and its own greatest clocks."""
        ...
