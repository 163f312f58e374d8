"""`ops.gaps`: ranges of offsets that Kafka's retention removed before bronze had read them, and who accepted that."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from sinks import tables
from sinks.ops import declared
from storage import delta

NAME = "ops.gaps"

_PLACE = ("topic_id", "partition", "from_offset", "until_offset")
_SCHEMA = pa.schema(
    {
        "topic": pa.string(),
        "topic_id": pa.string(),
        "partition": pa.int32(),
        "from_offset": pa.int64(),
        "until_offset": pa.int64(),
        "reason": pa.string(),
        "declared_at": pa.timestamp("us", "UTC"),
        "declared_by": pa.string(),
    }
)


@dataclass(frozen=True)
class Gap:
    """One row.

    Attributes:
        until_offset: exclusive.
        declared_at: UTC.
        declared_by: who accepted the loss.
    """

    topic: str
    topic_id: str
    partition: int
    from_offset: int
    until_offset: int
    reason: str
    declared_at: datetime
    declared_by: str


def declare(path: str, gaps: Iterable[Gap]) -> None:
    """Add the ranges that are not declared yet, in one commit and without a Spark job."""
    known = {_place(row) for row in stored(path)}
    fresh = [row for row in map(asdict, gaps) if _place(row) not in known]
    declared.declare(path, fresh, _SCHEMA)


def stored(path: str) -> list[dict[str, object]]:
    """Every row; none while the table does not exist."""
    return list(delta.table(path).to_pyarrow_table().to_pylist()) if tables.exists(path) else []


def _place(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in _PLACE)
