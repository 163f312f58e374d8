"""One chunk as Kafka messages: its records, its rejects and its manifest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import pyarrow as pa

from foundation.rowhash import format_hash, row_hash
from producers import encode
from producers.clock import INSTANT, Edition, published
from producers.encode import Message
from producers.model import RAW_CAP, Parsed, Part, PartState, Reject, RejectReason, Source
from schemas.contracts import load
from schemas.topics import MAX_RECORD_BYTES

REJECTS, MANIFESTS, CURSORS = "ingest.rejects", "ingest.manifests", "ingest.cursors"
CODE_VERSION = version("correnteza")

BATCH_HEADER_BYTES = 1024
"""What Kafka adds to a record: its batch's header (61 bytes), lengths, offsets and a compressor's frame."""


@dataclass(frozen=True)
class Chunk:
    """What one transaction carries besides the cursor.

    Attributes:
        messages: contract name → (key, value) in order.
        rows: records published; rejects: rows rejected.
    """

    chunk_id: str
    messages: Mapping[str, list[Message]]
    rows: int
    rejects: int
    row_hash: str


def chunk_id(source: str, part: Part, payload_sha256: str, edition: int, first_row: int) -> str:
    """The chunk's name: 32 hexadecimal digits, a pure function of what it holds.

    The edition counts the successive different payloads of the part, so that a source that goes from A to B and back
    to A publishes A again under ids of its own. Resource and part key are in it because two series can have equal
    bodies.
    """
    text = "\n".join([source, part.resource, part.key, payload_sha256, str(edition), str(first_row)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def build(
    source: Source,
    part: Part,
    state: PartState,
    parsed: Parsed,
    *,
    is_last: bool,
    slot_id: str,
    payload_bytes: int,
    schema_ids: Mapping[str, int],
) -> Chunk:
    """Encode one parsed chunk.

    Args:
        state: of the part before this chunk.
        schema_ids: contract name → registry id, for every dataset of the source and the bookkeeping topics.
    """
    name = chunk_id(source.name, part, state.payload_sha256, state.edition, parsed.first_row)
    edition = Edition(state.first_edition_assumed, state.published_at, state.published_at_basis, state.retrieved_at)
    shared: dict[str, encode.Column] = {
        "retrieved_at": pa.scalar(state.retrieved_at, INSTANT),
        "chunk_id": pa.scalar(name),
    }
    messages = {
        dataset: _records(
            records,
            dataset,
            schema_ids[dataset],
            published(records, part, source.publication[dataset], edition),
            shared,
        )
        for dataset, records in parsed.records.items()
    }
    rejects = list(parsed.rejects)
    for dataset, rows in messages.items():
        messages[dataset], too_long = _fitting(dataset, parsed.records[dataset], rows)
        rejects += too_long
    total = sum(row_hash(key, value) for rows in messages.values() for key, value in rows)
    count = sum(map(len, messages.values()))
    manifest = {
        "chunk_id": name,
        "source": source.name,
        "slot_id": slot_id,
        "payload_sha256": state.payload_sha256,
        "payload_bytes": payload_bytes,
        "part": part.name,
        "first_row": parsed.first_row,
        "rows_published": count,
        "rows_rejected": len(rejects),
        "row_hash": format_hash(total),
        "datasets": {dataset: len(rows) for dataset, rows in messages.items()},
        "schema_ids": {dataset: schema_ids[dataset] for dataset in messages},
        "is_last_of_part": is_last,
        "published_at": state.published_at,
        "retrieved_at": state.retrieved_at,
        "code_version": CODE_VERSION,
    }
    messages[REJECTS] = [_reject(source.name, name, state, reject, schema_ids[REJECTS]) for reject in rejects]
    messages[MANIFESTS] = [encode.record(load(MANIFESTS), schema_ids[MANIFESTS], manifest)]
    return Chunk(name, messages, count, len(rejects), format_hash(total))


def _records(
    records: pa.RecordBatch,
    dataset: str,
    schema_id: int,
    clock: tuple[encode.Column, encode.Column],
    shared: Mapping[str, encode.Column],
) -> list[Message]:
    columns: dict[str, encode.Column] = dict(zip(records.schema.names, records.columns, strict=True))
    columns |= {"published_at": clock[0], "published_at_basis": clock[1], **shared}
    return encode.messages(load(dataset), schema_id, columns, records.num_rows)


def _fitting(dataset: str, records: pa.RecordBatch, rows: list[Message]) -> tuple[list[Message], list[Reject]]:
    """The messages that the broker takes, and a reject for each other one.

    The producer would refuse such a message at every poll, and its source would publish nothing more. The parsers' own
    bound is on lines; an item of a JSON body has none.
    """
    limit = MAX_RECORD_BYTES - BATCH_HEADER_BYTES
    if all(len(key) + len(value) <= limit for key, value in rows):
        return rows, []
    kept, rejects = [], []
    for row_number, (key, value) in zip(records.column("row_number").to_pylist(), rows, strict=True):
        size = len(key) + len(value)
        if size <= limit:
            kept.append((key, value))
            continue
        digest = hashlib.sha256(value).hexdigest()
        detail = f"a record of {size} bytes where {limit} is the most; raw is its encoding's beginning, sha256 {digest}"
        rejects.append(Reject(dataset, row_number, RejectReason.ROW_TOO_LONG, detail, value[:RAW_CAP]))
    return kept, rejects


def _reject(source: str, name: str, state: PartState, reject: Reject, schema_id: int) -> Message:
    retrieved_at: datetime = state.retrieved_at
    values = {
        "source": source,
        "dataset": reject.dataset,
        "chunk_id": name,
        "row_number": reject.row_number,
        "reason": reject.reason.value,
        "detail": reject.detail,
        "raw": reject.raw,
        "payload_sha256": state.payload_sha256,
        "retrieved_at": retrieved_at,
    }
    return encode.record(load(REJECTS), schema_id, values)
