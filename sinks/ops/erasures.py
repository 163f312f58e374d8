"""`ops.erasures`: records of Kafka that were erased from bronze, by place; neither their keys nor their values.

By it `verify` accounts for what bronze and the archive lack, and no rebuild of bronze brings a record back.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from sinks import tables
from sinks.ops import declared
from storage import delta

NAME = "ops.erasures"

_SCHEMA = pa.schema(
    {
        "erasure": pa.string(),
        "dataset": pa.string(),
        "topic": pa.string(),
        "topic_id": pa.string(),
        "partition": pa.int32(),
        "offset": pa.int64(),
        "kafka_timestamp": pa.timestamp("us", "UTC"),
        "chunk_id": pa.string(),
        "is_counted": pa.bool_(),
        "row_hash": pa.int64(),
        "erased_at": pa.timestamp("us", "UTC"),
        "erased_by": pa.string(),
        "note": pa.string(),
    }
)


@dataclass(frozen=True)
class Erased:
    """One record.

    Attributes:
        erasure: tells one run of `erase` from others.
        dataset: contract of the record, such as `bcb_sgs` or `ingest.rejects`.
        kafka_timestamp: UTC.
        chunk_id: None where the record did not decode.
        is_counted: whether the manifest of its chunk counts it: not the copy of a dead letter that was counted before.
        row_hash: as the manifest adds it up, signed; what the manifest's sum and the rows left give anyway.
    """

    erasure: str
    dataset: str
    topic: str
    topic_id: str
    partition: int
    offset: int
    kafka_timestamp: datetime
    chunk_id: str | None
    is_counted: bool
    row_hash: int
    erased_at: datetime
    erased_by: str
    note: str


def declare(path: str, records: Iterable[Erased]) -> int:
    """Add the records that are not there yet, in one commit; returns how many those were."""
    known = {_place(each) for each in stored(path)}
    fresh = [each for each in records if _place(each) not in known]
    declared.declare(path, [asdict(each) for each in fresh], _SCHEMA)
    return len(fresh)


def stored(path: str) -> list[Erased]:
    """Every record; none while the table does not exist."""
    if not tables.exists(path):
        return []
    return [Erased(**row) for row in delta.table(path).to_pyarrow_table().to_pylist()]


def places(path: str, topic_id: str) -> dict[int, list[int]]:
    """Partition → offsets of one topic's erased records. Rows that were made again from the archive have no place in
    Kafka; their partition is negative, and their offsets are used again by the next rebuild."""
    found: dict[int, list[int]] = {}
    for each in stored(path):
        if each.topic_id == topic_id and each.partition >= 0:
            found.setdefault(each.partition, []).append(each.offset)
    return found


def _place(each: Erased) -> tuple[object, ...]:
    return each.topic_id, each.partition, each.offset, each.chunk_id, each.row_hash
