"""The effect of closing records on a manifest: copies that it does not count, and originals that will never arrive.

A redrive publishes a record again. If the original did not decode, the copy is the chunk's row. If silver had
quarantined the original, it was decoded and counted, and the copy is a second one. A discarded record that never
decoded is missing from its chunk on purpose.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from math import comb

from foundation.rowhash import MODULUS
from monitoring.proof.checks.external import chunk_of
from monitoring.proof.checks.model import Evidence
from monitoring.proof.checks.row_hashes import row_hashes
from monitoring.undecodable import UNDECODABLE

# All records of a transaction are within its time limit, which is far below this.
TRANSACTION_SPAN = timedelta(minutes=15)

REDRIVES = "ingest.redrives"
_TABLE = "bronze.ingest_redrives"
_REASONS = ", ".join(f"'{status}'" for status in UNDECODABLE)
# The hash shows which records a chunk lacks; at most so many selections are tried.
_MOST_SELECTIONS = 20_000


@dataclass(frozen=True)
class Closed:
    """A closed record that did not decode and has no decoded copy in bronze.

    Attributes:
        action: `discarded`; or `redriven`, while bronze has not read the copy.
        at: Kafka's timestamp of the original.
    """

    dataset: str
    place: str
    action: str
    at: datetime
    row_hash: int


def uncounted_copies(evidence: Evidence, dataset: str, alias: str) -> str:
    """A predicate on rows of a bronze table: false for copies of records that decoded, because those were counted
    before."""
    if not evidence.lake.has(_TABLE):
        return "true"
    seconds = int(TRANSACTION_SPAN.total_seconds())
    return f"""NOT EXISTS (
        SELECT 1 FROM {_TABLE} r WHERE r.decode_status = 'ok' AND r.record.dataset = '{dataset}'
        AND r.record.action = 'redriven' AND r.record.reason NOT IN ({_REASONS})
        AND r.record.new_partition = {alias}.partition AND r.record.new_offset = {alias}."offset"
        AND abs(epoch(r.kafka_timestamp) - epoch({alias}.kafka_timestamp)) <= {seconds})"""


def closed_originals(evidence: Evidence, dataset: str) -> None:
    """Create the table `closed_originals`: place and chunk of decoded rows with a closing record, copied or
    discarded."""
    rows = "SELECT NULL::VARCHAR AS topic_id, NULL::INTEGER AS p, NULL::BIGINT AS o, NULL::VARCHAR AS chunk_id LIMIT 0"
    if evidence.lake.has(_TABLE):
        rows = f"""
            SELECT b.topic_id AS topic_id, b.partition AS p, b."offset" AS o,
                   {chunk_of(evidence.contracts[dataset], "b.record")} AS chunk_id
            FROM bronze.{dataset} b SEMI JOIN {_TABLE} r
              ON r.record.topic_id = b.topic_id AND r.record.partition = b.partition AND r.record."offset" = b."offset"
              AND r.decode_status = 'ok' AND r.record.dataset = '{dataset}'
            WHERE b.decode_status = 'ok'"""
    evidence.lake.connection.execute(f"CREATE OR REPLACE TEMP TABLE closed_originals AS {rows}")


def is_read(evidence: Evidence, contract: str) -> bool:
    """Whether bronze has read all of a contract's topic."""
    state = evidence.topics.get(contract)
    return state is None or state.oldest_unread_at is None


def closed_without_copy(evidence: Evidence) -> list[Closed]:
    """All such records of all datasets; they are few."""
    if not evidence.lake.has(_TABLE):
        return []
    found = []
    for dataset in evidence.datasets():
        rows = evidence.lake.sql(
            f"""
            SELECT b.topic || '/' || b.partition || '/' || b."offset" AS place, r.record.action AS action,
                   b.kafka_timestamp AS at, b.key AS key, b.value_hash AS value_hash
            FROM bronze.{dataset} b JOIN {_TABLE} r
              ON r.record.topic_id = b.topic_id AND r.record.partition = b.partition AND r.record."offset" = b."offset"
            WHERE r.decode_status = 'ok' AND r.record.dataset = '{dataset}' AND b.decode_status IN ({_REASONS})
              AND (r.record.action = 'discarded' OR NOT EXISTS (
                SELECT 1 FROM bronze.{dataset} c
                WHERE c.partition = r.record.new_partition AND c."offset" = r.record.new_offset))
            ORDER BY b.partition, b."offset" """
        ).combine_chunks()
        if rows.num_rows:
            hashes = row_hashes(rows["key"].combine_chunks(), rows["value_hash"].combine_chunks()).to_pylist()
            columns = (rows[name].to_pylist() for name in ("place", "action", "at"))
            found += [Closed(dataset, *row) for row in zip(*columns, hashes, strict=True)]
    return found


def explaining_records(
    candidates: Iterable[Closed], lacking: Mapping[str, int], hash_lacking: int, published_at: datetime
) -> Sequence[Closed] | None:
    """The records that a chunk lacks, proved by their hashes; None if no selection of the candidates fits.

    Args:
        lacking: dataset → rows that the manifest counts and bronze does not hold.
        hash_lacking: the manifest's hash less that of the rows held, modulo 2**64.
        published_at: Kafka's timestamp of the manifest; the chunk's rows are in the same transaction.
    """
    near = [
        each
        for each in candidates
        if lacking.get(each.dataset, 0) > 0 and abs(each.at - published_at) <= TRANSACTION_SPAN
    ]
    count = sum(lacking.values())
    if not 0 < count <= len(near) or comb(len(near), count) > _MOST_SELECTIONS:
        return None
    for selected in combinations(near, count):
        if sum(each.row_hash for each in selected) % MODULUS == hash_lacking:
            return selected
    return None
