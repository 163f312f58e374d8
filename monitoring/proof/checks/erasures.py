"""What `ops.erasures` accounts for: records that Kafka may still hold, that manifests count, and that bronze lacks.

The table tells places, chunks and hashes, and no value. A record that it names and bronze still holds is one whose
erasure was not ended; `bronze = topic` finds it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from monitoring.lag.kafka import Topic
from monitoring.lake import Lake
from monitoring.proof.checks.model import Evidence
from monitoring.proof.checks.redrives import Closed

TABLE = "ops.erasures"
REJECTS = "ingest.rejects"


@dataclass
class Gone:
    """What was erased of one chunk, of all that its manifest counts.

    Attributes:
        counts: dataset → records, withdrawals among them. rejects: rejects.
        row_hash: the sum over the counted records.
    """

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rejects: int = 0
    row_hash: int = 0


def by_chunk(lake: Lake) -> Mapping[str, Gone]:
    """Chunk → what was erased of it."""
    found: dict[str, Gone] = defaultdict(Gone)
    if not lake.has(TABLE):
        return found
    for row in lake.rows(
        "SELECT chunk_id, dataset, count(*) AS n, sum(row_hash::HUGEINT)::VARCHAR AS total"
        f" FROM {TABLE} WHERE is_counted AND chunk_id IS NOT NULL GROUP BY 1, 2"
    ):
        gone = found[str(row["chunk_id"])]
        if row["dataset"] == REJECTS:
            gone.rejects += int(str(row["n"]))
        else:
            gone.counts[str(row["dataset"])] += int(str(row["n"]))
            gone.row_hash += int(str(row["total"]))
    return found


def undecoded(lake: Lake) -> list[Closed]:
    """Counted records that never decoded, so that nobody knows their chunk: each may be what a chunk lacks."""
    if not lake.has(TABLE):
        return []
    rows = lake.rows(
        "SELECT dataset, topic || '/' || partition || '/' || \"offset\" AS place, 'erased' AS action,"
        f" kafka_timestamp AS at, row_hash FROM {TABLE} WHERE is_counted AND chunk_id IS NULL"
    )
    return [Closed(**row) for row in rows]  # type: ignore[arg-type]


def not_erased(evidence: Evidence, seen: pa.Table, topic: Topic, partition: int) -> pa.Table:
    """The records (column `o`, offsets) of a partition that were not erased, numbered anew in `n`."""
    if not evidence.lake.has(TABLE):
        return seen
    erased = evidence.lake.sql(
        f'SELECT "offset" AS o FROM {TABLE} WHERE topic = ? AND topic_id = ? AND partition = ?',
        [topic.name, topic.topic_id, partition],
    )["o"]
    if not len(erased):
        return seen
    left = seen.filter(pc.invert(pc.is_in(seen["o"], value_set=erased.combine_chunks())))
    return left.set_column(left.column_names.index("n"), "n", pa.array(range(left.num_rows), pa.int64()))


def places(lake: Lake, columns: str, dataset: str) -> str:
    """SQL that adds the places of a dataset's erased records to others. Args: columns: what it selects of the table."""
    return f" UNION SELECT {columns} FROM {TABLE} WHERE dataset = '{dataset}'" if lake.has(TABLE) else ""
