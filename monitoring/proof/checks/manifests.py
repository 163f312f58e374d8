"""Manifests and rows agree, chunk by chunk: counts, a hash that ignores the order, and rejects; and there is no chunk
without a manifest or the reverse.

Records that were published again (dead letters) are counted once, whenever their copy was published: see `redrives`.
Those that were erased count as held: see `erasures`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from foundation.rowhash import MODULUS, format_hash
from monitoring.proof.checks import erasures, external
from monitoring.proof.checks.erasures import Gone
from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome
from monitoring.proof.checks.redrives import (
    TRANSACTION_SPAN,
    Closed,
    closed_without_copy,
    explaining_records,
    uncounted_copies,
)
from monitoring.proof.checks.row_hashes import row_hashes

WITHDRAWALS = "ingest.withdrawals"
_BATCH_ROWS = 65_536


@dataclass
class _Chunk:
    """What bronze holds of one chunk."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    hash_total: int = 0
    newest_at: datetime | None = None


_Wrong = dict[tuple[str, str], list[str]]
"""(where, what) → the failing chunks."""


def check(evidence: Evidence) -> Outcome:
    """Compare every manifest of the window with the rows it counts, and every row with the manifests."""
    outcome = Outcome()
    external.say_left_out(evidence, outcome, "its rows are not compared")
    wrong: _Wrong = defaultdict(list)
    window = _margin(evidence)
    manifests = _manifests(evidence, window)
    if not any(manifest["judged"] for manifest in manifests):
        window = evidence.in_window("b")  # no chunk ends in the window, so rows from just before it are not needed
    chunks = _chunks(evidence, outcome, window)
    rejects = _rejects(evidence, window)
    if older := _older(evidence, chunks.keys() - {str(each["chunk_id"]) for each in manifests}):
        # Their rows in the window are copies of records that did not decode; each such chunk is judged as a whole.
        manifests += older
        chunks |= _chunks(evidence, outcome, _OLDER)
        rejects |= _rejects(evidence, _OLDER)
    closed = closed_without_copy(evidence) + erasures.undecoded(evidence.lake)
    erased = erasures.by_chunk(evidence.lake)
    seen: set[str] = set()
    for manifest in manifests:
        chunk_id = str(manifest["chunk_id"])
        if chunk_id in seen:
            wrong["bronze.ingest_manifests", "have a second manifest: published twice"].append(f"chunk {chunk_id}")
            continue
        seen.add(chunk_id)
        if manifest["judged"]:
            gone = erased.get(chunk_id, Gone())
            chunk = _before(chunks.get(chunk_id, _Chunk()), gone)
            waiting = _unread(evidence, manifest, chunk)
            if waiting:
                outcome.notes.append(f"chunk {chunk_id}: bronze may not have read all of {', '.join(waiting)} yet")
            else:
                explained = _explained(manifest, chunk, closed)
                outcome.notes += [
                    f"chunk {chunk_id}: {each.place} does not decode and is {each.action}" for each in explained
                ]
                _compare(wrong, manifest, chunk, explained)
                _compare_rejects(wrong, manifest, rejects.get(chunk_id, 0) + gone.rejects)
    for (where, what), examples in wrong.items():
        outcome.add(where, f"{len(examples)} chunk(s) {what}", examples[:EXAMPLES])
    _orphans(evidence, outcome, {name: chunk for name, chunk in chunks.items() if name not in seen})
    return outcome


def _before(chunk: _Chunk, gone: Gone) -> _Chunk:
    """What bronze held of a chunk before some of it was erased."""
    counts = Counter(chunk.counts) + Counter(gone.counts)
    return _Chunk(dict(counts), chunk.hash_total + gone.row_hash, chunk.newest_at)


def _chunks(evidence: Evidence, outcome: Outcome, where: str) -> dict[str, _Chunk]:
    """Counts and hashes by chunk, summed over bronze in batches."""
    chunks: dict[str, _Chunk] = defaultdict(_Chunk)
    for dataset in _counted(evidence):
        uncounted = "true" if dataset == WITHDRAWALS else uncounted_copies(evidence, dataset, "b")
        reader = evidence.lake.connection.sql(
            "SELECT b.record.chunk_id AS chunk_id, b.key, b.value_hash, b.kafka_timestamp"
            f" FROM {_table(dataset)} b WHERE b.decode_status = 'ok' AND {where} AND {uncounted}"
        ).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            outcome.rows += batch.num_rows
            for chunk_id, rows, total, newest_at in _sums(batch):
                chunk = chunks[chunk_id]
                chunk.counts[dataset] += rows
                chunk.hash_total += total
                chunk.newest_at = max(newest_at, chunk.newest_at or newest_at)
    return chunks


def _table(contract: str) -> str:
    return f"bronze.{contract.replace('.', '_')}"


def _counted(evidence: Evidence) -> list[str]:
    """The datasets that manifests count: rows of the sources, and withdrawals."""
    withdrawals = [WITHDRAWALS] if evidence.lake.has("bronze.ingest_withdrawals") else []
    published = [name for name, contract in evidence.datasets().items() if not contract.external]
    return [*published, *withdrawals]


def _sums(batch: pa.RecordBatch) -> Iterator[tuple[str, int, int, datetime]]:
    """Per chunk of a batch: rows, the sum of their hashes modulo 2**64, the newest timestamp."""
    hashed = pa.table(
        {
            "chunk_id": batch.column("chunk_id"),
            "hash": row_hashes(batch.column("key"), batch.column("value_hash")),
            "at": batch.column("kafka_timestamp"),
        }
    )
    summed = hashed.group_by("chunk_id").aggregate([("hash", "count"), ("hash", "sum"), ("at", "max")])
    names = ("chunk_id", "hash_count", "hash_sum", "at_max")
    yield from zip(*(summed[name].to_pylist() for name in names), strict=True)


def _margin(evidence: Evidence) -> str:
    """The window, widened by a transaction: a chunk whose manifest is inside may begin just before."""
    if evidence.since is None:
        return "true"
    begin = evidence.since - TRANSACTION_SPAN
    return f"(b.kafka_timestamp >= TIMESTAMPTZ '{begin.isoformat()}' AND b.year >= {begin.year})"


_OLDER = "b.record.chunk_id IN (SELECT chunk_id FROM older_chunks)"
_MANIFESTS = (
    "SELECT b.record.chunk_id AS chunk_id, b.record.datasets AS datasets, b.record.row_hash AS row_hash,"
    " b.record.rows_rejected AS rows_rejected, b.kafka_timestamp, {judged} AS judged"
    " FROM bronze.ingest_manifests b WHERE b.decode_status = 'ok' AND {where} ORDER BY b.\"offset\""
)


def _manifests(evidence: Evidence, where: str) -> list[dict[str, object]]:
    """Manifests in the widened window; those outside the window itself only explain rows."""
    if not evidence.lake.has("bronze.ingest_manifests"):
        return []
    return evidence.lake.rows(_MANIFESTS.format(judged=evidence.in_window("b"), where=where))


def _older(evidence: Evidence, unexplained: set[str]) -> list[dict[str, object]]:
    """Manifests from before the widened window, of chunks that have rows in it; they are left in `older_chunks`."""
    if evidence.since is None or not unexplained or not evidence.lake.has("bronze.ingest_manifests"):
        return []
    evidence.lake.connection.register("older_chunks", pa.table({"chunk_id": sorted(unexplained)}))
    return evidence.lake.rows(_MANIFESTS.format(judged="true", where=_OLDER))


def _rejects(evidence: Evidence, where: str) -> dict[str, int]:
    if not evidence.lake.has("bronze.ingest_rejects"):
        return {}
    rows = evidence.lake.rows(
        "SELECT b.record.chunk_id AS chunk_id, count(*) AS n FROM bronze.ingest_rejects b"
        f" WHERE b.decode_status = 'ok' AND {where} GROUP BY 1"
    )
    return {str(row["chunk_id"]): int(str(row["n"])) for row in rows}


def _unread(evidence: Evidence, manifest: dict[str, object], chunk: _Chunk) -> list[str]:
    """Topics of the chunk that bronze may not have read as far as its manifest, or as the copies of its rows."""
    published_at = manifest["kafka_timestamp"]
    assert isinstance(published_at, datetime)
    promised = _promised(manifest)
    waiting = [name for name in (*promised, "ingest.rejects") if _may_be_unread(evidence, name, published_at)]
    has_more = any(rows > promised.get(name, 0) for name, rows in chunk.counts.items())
    # The closing record in the same transaction states which rows are copies.
    if has_more and chunk.newest_at and _may_be_unread(evidence, "ingest.redrives", chunk.newest_at + TRANSACTION_SPAN):
        waiting.append("ingest.redrives")
    return waiting


def _promised(manifest: dict[str, object]) -> dict[str, int]:
    pairs = manifest["datasets"]  # Arrow gives a map as pairs
    assert isinstance(pairs, list)
    return dict(pairs)


def _compare(wrong: _Wrong, manifest: dict[str, object], chunk: _Chunk, explained: Sequence[Closed]) -> None:
    """Compare the counts, and the hashes if the counts agree. Missing rows that closed dead letters explain count as
    present."""
    promised, name = _promised(manifest), f"chunk {manifest['chunk_id']}"
    held = Counter(chunk.counts) + Counter(each.dataset for each in explained)
    for dataset in promised | held:
        if promised.get(dataset, 0) != held[dataset]:
            example = f"{name}: {promised.get(dataset, 0)} counted, {held[dataset]} held"
            wrong[_table(dataset), "have other rows than their manifest counts"].append(example)
    if held == Counter(promised):
        found = format_hash(chunk.hash_total + sum(each.row_hash for each in explained))
        if found != manifest["row_hash"]:
            where = ", ".join(map(_table, promised))
            example = f"{name}: {manifest['row_hash']} in the manifest, {found} held"
            wrong[where, "hash to something else than their manifest says"].append(example)


def _compare_rejects(wrong: _Wrong, manifest: dict[str, object], rejected: int) -> None:
    if rejected != manifest["rows_rejected"]:
        example = f"chunk {manifest['chunk_id']}: {manifest['rows_rejected']} counted, {rejected} held"
        wrong["bronze.ingest_rejects", "have other rejects than their manifest counts"].append(example)


def _explained(manifest: dict[str, object], chunk: _Chunk, closed: list[Closed]) -> Sequence[Closed]:
    """The closed dead letters that explain all rows the chunk lacks; empty if they do not, or if it lacks none."""
    promised, published_at = _promised(manifest), manifest["kafka_timestamp"]
    assert isinstance(published_at, datetime)
    lacking = {dataset: promised.get(dataset, 0) - chunk.counts.get(dataset, 0) for dataset in promised | chunk.counts}
    if not closed or min(lacking.values(), default=0) < 0:
        return ()
    hash_lacking = (int(str(manifest["row_hash"]), 16) - chunk.hash_total) % MODULUS
    return explaining_records(closed, lacking, hash_lacking, published_at) or ()


def _orphans(evidence: Evidence, outcome: Outcome, chunks: dict[str, _Chunk]) -> None:
    """Chunks without a manifest, except chunks at the edge of the window and chunks whose manifest is still unread."""
    for dataset in _counted(evidence):
        orphans = [
            name
            for name, chunk in sorted(chunks.items())
            if dataset in chunk.counts
            and chunk.newest_at is not None
            and (evidence.since is None or chunk.newest_at >= evidence.since)
            and not _may_be_unread(evidence, "ingest.manifests", chunk.newest_at + TRANSACTION_SPAN)
        ]
        if orphans:
            rows = sum(chunks[name].counts[dataset] for name in orphans)
            what = f"{rows} rows of {len(orphans)} chunk(s) without a manifest"
            outcome.add(_table(dataset), what, [f"chunk {name}" for name in orphans[:EXAMPLES]])


def _may_be_unread(evidence: Evidence, contract: str, produced_until: datetime) -> bool:
    """Whether bronze may have unread records that were produced up to an instant."""
    state = evidence.topics.get(contract)
    return (
        state is not None
        and state.oldest_unread_at is not None
        and state.oldest_unread_at <= produced_until.timestamp()
    )
