"""Manifests and rows agree, chunk by chunk: counts, order-free hash, rejects; and neither is without the other."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import xxhash

from foundation.rowhash import SPARK_SEED, format_hash
from monitoring.checks.model import EXAMPLES, Evidence, Outcome

_BATCH_ROWS = 65_536
# The rows of a chunk and its manifest are produced within one transaction; its time limit is far below this.
_TRANSACTION_SPAN = timedelta(minutes=15)


@dataclass
class _Chunk:
    """What bronze holds of one chunk."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    hash_total: int = 0
    newest_at: datetime | None = None


_Wrong = dict[tuple[str, str], list[str]]
"""(where, what) → the chunks it is true of."""


def check(evidence: Evidence) -> Outcome:
    """Compare every manifest of the window with the rows it counts, and every row with the manifests."""
    outcome = Outcome()
    wrong: _Wrong = defaultdict(list)
    chunks = _chunks(evidence, outcome)
    manifests = _manifests(evidence)
    rejects = _rejects(evidence)
    seen: set[str] = set()
    for manifest in manifests:
        chunk_id = str(manifest["chunk_id"])
        if chunk_id in seen:
            wrong["bronze.ingest_manifests", "have a second manifest: published twice"].append(f"chunk {chunk_id}")
            continue
        seen.add(chunk_id)
        if manifest["judged"]:
            waiting = _unread(evidence, manifest)
            if waiting:
                outcome.notes.append(f"chunk {chunk_id}: bronze may not have read all of {', '.join(waiting)} yet")
            else:
                _compare(wrong, manifest, chunks.get(chunk_id, _Chunk()), rejects.get(chunk_id, 0))
    for (where, what), examples in wrong.items():
        outcome.add(where, f"{len(examples)} chunk(s) {what}", examples[:EXAMPLES])
    _orphans(evidence, outcome, {name: chunk for name, chunk in chunks.items() if name not in seen})
    return outcome


def _chunks(evidence: Evidence, outcome: Outcome) -> dict[str, _Chunk]:
    """Counts and hashes by chunk, summed over bronze in batches."""
    chunks: dict[str, _Chunk] = defaultdict(_Chunk)
    for dataset in evidence.datasets():
        reader = evidence.lake.connection.sql(
            "SELECT record.chunk_id AS chunk_id, key, value_hash, kafka_timestamp"
            f" FROM bronze.{dataset} WHERE decode_status = 'ok' AND {_margin(evidence)}"
        ).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            outcome.rows += batch.num_rows
            newest = batch.column("kafka_timestamp").to_pylist()
            columns = (batch.column(name).to_pylist() for name in ("chunk_id", "key", "value_hash"))
            for chunk_id, key, value_hash, at in zip(*columns, newest, strict=True):
                chunk = chunks[chunk_id]
                chunk.counts[dataset] += 1
                chunk.hash_total += _row_hash(key, value_hash)
                if chunk.newest_at is None or at > chunk.newest_at:
                    chunk.newest_at = at
    return chunks


def _row_hash(key: bytes | None, value_hash: int) -> int:
    """Spark's `xxhash64(key, value_hash)` from what bronze holds; a null leaves the seed as it is."""
    seed = SPARK_SEED if key is None else xxhash.xxh64_intdigest(key, SPARK_SEED)
    return xxhash.xxh64_intdigest(value_hash.to_bytes(8, "little", signed=True), seed)


def _margin(evidence: Evidence) -> str:
    """The window, widened by a transaction: a chunk whose manifest is inside may begin just before."""
    if evidence.since is None:
        return "true"
    begin = evidence.since - _TRANSACTION_SPAN
    return f"kafka_timestamp >= TIMESTAMPTZ '{begin.isoformat()}' AND year >= {begin.year}"


def _manifests(evidence: Evidence) -> list[dict[str, object]]:
    """Manifests in the widened window; those outside of the window itself only explain rows."""
    if not evidence.lake.has("bronze.ingest_manifests"):
        return []
    return evidence.lake.rows(
        "SELECT record.chunk_id AS chunk_id, record.datasets AS datasets, record.row_hash AS row_hash,"
        f" record.rows_rejected AS rows_rejected, kafka_timestamp, {evidence.in_window()} AS judged"
        f" FROM bronze.ingest_manifests WHERE decode_status = 'ok' AND {_margin(evidence)} ORDER BY \"offset\""
    )


def _rejects(evidence: Evidence) -> dict[str, int]:
    if not evidence.lake.has("bronze.ingest_rejects"):
        return {}
    rows = evidence.lake.rows(
        "SELECT record.chunk_id AS chunk_id, count(*) AS n FROM bronze.ingest_rejects"
        f" WHERE decode_status = 'ok' AND {_margin(evidence)} GROUP BY 1"
    )
    return {str(row["chunk_id"]): int(str(row["n"])) for row in rows}


def _unread(evidence: Evidence, manifest: dict[str, object]) -> list[str]:
    """Topics of the chunk that bronze may not have read up to its manifest."""
    published_at = manifest["kafka_timestamp"]
    assert isinstance(published_at, datetime)
    names = (*_promised(manifest), "ingest.rejects")
    return [name for name in names if _may_be_unread(evidence, name, published_at.timestamp())]


def _promised(manifest: dict[str, object]) -> dict[str, int]:
    pairs = manifest["datasets"]  # Arrow gives a map as pairs
    assert isinstance(pairs, list)
    return dict(pairs)


def _compare(wrong: _Wrong, manifest: dict[str, object], chunk: _Chunk, rejected: int) -> None:
    promised, name = _promised(manifest), f"chunk {manifest['chunk_id']}"
    for dataset in promised.keys() | chunk.counts.keys():
        counted, held = promised.get(dataset, 0), chunk.counts.get(dataset, 0)
        if counted != held:
            example = f"{name}: {counted} counted, {held} held"
            wrong[f"bronze.{dataset}", "have other rows than their manifest counts"].append(example)
    if dict(chunk.counts) == {dataset: count for dataset, count in promised.items() if count}:
        found = format_hash(chunk.hash_total)
        if found != manifest["row_hash"]:
            where = ", ".join(f"bronze.{dataset}" for dataset in promised)
            example = f"{name}: {manifest['row_hash']} in the manifest, {found} held"
            wrong[where, "hash to something else than their manifest says"].append(example)
    if rejected != manifest["rows_rejected"]:
        example = f"{name}: {manifest['rows_rejected']} counted, {rejected} held"
        wrong["bronze.ingest_rejects", "have other rejects than their manifest counts"].append(example)


def _orphans(evidence: Evidence, outcome: Outcome, chunks: dict[str, _Chunk]) -> None:
    """Chunks without a manifest, but for those that the window cuts and those whose manifest is still unread."""
    for dataset in evidence.datasets():
        orphans = [
            name
            for name, chunk in sorted(chunks.items())
            if dataset in chunk.counts
            and chunk.newest_at is not None
            and (evidence.since is None or chunk.newest_at >= evidence.since)
            and not _may_be_unread(evidence, "ingest.manifests", (chunk.newest_at + _TRANSACTION_SPAN).timestamp())
        ]
        if orphans:
            rows = sum(chunks[name].counts[dataset] for name in orphans)
            what = f"{rows} rows of {len(orphans)} chunk(s) without a manifest"
            outcome.add(f"bronze.{dataset}", what, [f"chunk {name}" for name in orphans[:EXAMPLES]])


def _may_be_unread(evidence: Evidence, contract: str, epoch_seconds: float) -> bool:
    """Whether bronze may not have read yet what was produced up to an instant."""
    state = evidence.topics.get(contract)
    return state is not None and state.oldest_unread_at is not None and state.oldest_unread_at <= epoch_seconds
