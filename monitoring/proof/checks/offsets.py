"""Bronze holds exactly the offsets, with the same bytes, that an independent read_committed consumer reads.

Transaction markers and aborted records leave legal gaps, so the sets are compared and not the counts. Records that
bronze has not committed yet are lag and no loss. Records below the first retained offset cannot be read any more: if
bronze had not read them, they are lost, and `ops.gaps` must declare that. Records that were erased (`ops.erasures`) are
left out.
"""

from array import array

import pyarrow as pa
import xxhash

from foundation.rowhash import SPARK_SEED
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import bronze_table
from monitoring.proof.checks import erasures
from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome, TopicState, ranges

# Offsets that break the equality of `seen` (the topic) and `held` (bronze), by what they say. `n` numbers the records
# of the side named first, so that a run of failing records is one range although markers lie between them.
_BREACHES = {
    "committed records are not in bronze": "s.n FROM seen s ANTI JOIN held h USING (o)",
    "offsets in bronze hold no committed record": "h.n FROM held h ANTI JOIN seen s USING (o) WHERE o < $reached",
    "offsets in bronze are beyond the last stable offset": "h.n FROM held h WHERE o >= $stable",
    "records in bronze have other bytes than the topic": "s.n FROM seen s JOIN held h USING (o) WHERE s.hash <> h.hash",
}


def check(evidence: Evidence, cluster: Cluster) -> Outcome:
    """Compare every partition of every topic that bronze keeps."""
    outcome = Outcome()
    for name, contract in evidence.contracts.items():
        table, state = f"bronze.{bronze_table(contract)}", evidence.topics.get(name)
        if state is not None and evidence.lake.has(table):
            for partition in state.topic.partitions:
                _compare(evidence, cluster, state, outcome, table=table, partition=partition)
    return outcome


def _compare(
    evidence: Evidence, cluster: Cluster, state: TopicState, outcome: Outcome, *, table: str, partition: int
) -> None:
    lake, topic = evidence.lake, state.topic
    bounds = topic.partitions[partition]
    _judge_removed(evidence, state, outcome, table=table, partition=partition)
    start = max(bounds.first, state.reads_since.get(partition, bounds.first))
    lake.connection.execute(
        'CREATE OR REPLACE TEMP TABLE held AS SELECT "offset" AS o, any_value(value_hash) AS hash,'
        ' row_number() OVER (ORDER BY "offset") AS n'
        f' FROM {table} WHERE topic_id = ? AND partition = ? AND "offset" >= ? GROUP BY 1',
        [topic.topic_id, partition, start],
    )
    committed = state.committed.get(partition, start)
    if bounds.stable > committed:
        outcome.notes.append(f"{topic.name}/{partition}: {bounds.stable - committed} offsets not yet read")
    reached = min(committed, bounds.stable)
    seen = erasures.not_erased(evidence, _seen(cluster, topic.name, partition, start, reached), topic, partition)
    outcome.rows += seen.num_rows
    lake.connection.register("seen", seen)
    values = {"reached": reached, "stable": bounds.stable}
    for what, breach in _BREACHES.items():
        used = {name: value for name, value in values.items() if f"${name}" in breach}
        found = lake.connection.sql(f"SELECT o, {breach} ORDER BY o", params=used).to_arrow_table()
        if found.num_rows:
            examples = [f"offsets {each}" for each in ranges(found["o"].to_pylist(), found["n"].to_pylist())[:EXAMPLES]]
            outcome.add(f"{table} ({topic.name}/{partition})", f"{found.num_rows} {what}", examples)
    lake.connection.unregister("seen")


def _judge_removed(evidence: Evidence, state: TopicState, outcome: Outcome, *, table: str, partition: int) -> None:
    """Retention has removed offsets that bronze had not read: a loss, which `ops.gaps` may have declared."""
    topic, lake = state.topic, evidence.lake
    declared = []
    if lake.has("ops.gaps"):
        declared = lake.rows(
            "SELECT from_offset, until_offset, declared_at FROM ops.gaps"
            " WHERE topic_id = ? AND partition = ? ORDER BY from_offset",
            [topic.topic_id, partition],
        )
    for gap in declared:
        lost = f"offsets {gap['from_offset']}-{int(str(gap['until_offset'])) - 1}"
        outcome.notes.append(f"{topic.name}/{partition}: {lost} were declared lost at {gap['declared_at']}")
    # Spark writes "from the first one" as a negative number.
    position = max(0, state.committed.get(partition, 0))
    for gap in declared:
        if int(str(gap["from_offset"])) <= position:
            position = max(position, int(str(gap["until_offset"])))
    first = topic.partitions[partition].first
    if position < first:
        where = f"{table} ({topic.name}/{partition})"
        outcome.add(where, "retention removed offsets before bronze read them", [f"offsets {position}-{first - 1}"])


def _seen(cluster: Cluster, topic: str, partition: int, start: int, end: int) -> pa.Table:
    """Offset and hash of every committed record of [start, end)."""
    offsets, hashes = array("q"), array("Q")
    for messages in cluster.read(topic, partition, start, end):
        for message in messages:
            value = message.value()
            offsets.append(message.offset() or 0)
            hashes.append(SPARK_SEED if value is None else xxhash.xxh64_intdigest(value, SPARK_SEED))
    return pa.table(
        {
            "n": pa.array(range(len(offsets)), pa.int64()),
            "o": pa.Array.from_buffers(pa.int64(), len(offsets), [None, pa.py_buffer(offsets)]),
            # Spark stores the hash in a signed long with the same bits.
            "hash": pa.Array.from_buffers(pa.int64(), len(hashes), [None, pa.py_buffer(hashes)]),
        }
    )
