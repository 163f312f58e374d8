"""One chunk as Kafka messages: its records, its rejects, its withdrawals and its manifest."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from types import MappingProxyType

import pyarrow as pa

from foundation.rowhash import format_hash, row_hash
from producers import encode
from producers.encode import Message
from producers.model import RAW_CAP, Parsed, Part, PartState, Reject, RejectReason, Source
from producers.publication_clock import INSTANT, NONE, Edition, published
from producers.scope import Scope, is_known
from producers.withdrawals import MESSAGE_KEY
from schemas.contracts import Contract, load
from schemas.limits import MAX_RECORD_BYTES

REJECTS, MANIFESTS, CURSORS = "ingest.rejects", "ingest.manifests", "ingest.cursors"
WITHDRAWALS = "ingest.withdrawals"
CODE_VERSION = version("correnteza")

BATCH_HEADER_BYTES = 1024
"""What Kafka adds to a record: its batch's header (61 bytes), lengths, offsets and a compressor's frame."""


@dataclass(frozen=True)
class Chunk:
    """The messages of one transaction, without the cursor.

    Attributes:
        messages: contract name → (key, value) in order.
        rows: records published; rejects: rows rejected; withdrawn: withdrawals.
    """

    chunk_id: str
    messages: Mapping[str, list[Message]]
    rows: int
    rejects: int
    row_hash: str
    withdrawn: int = 0


def chunk_id(source: str, part: Part, payload_sha256: str, edition: int, first: int | str) -> str:
    """The chunk's name: 32 hexadecimal digits, a pure function of what it holds.

    The edition counts the successive different payloads of the part, so that a source that goes from A to B and back
    to A publishes A again under ids of its own. Resource and part key are in it because two series can have equal
    bodies.

    Args:
        first: its first source row, or, for a chunk of withdrawals only, a text that distinguishes it from the others.
    """
    text = "\n".join([source, part.resource, part.key, payload_sha256, str(edition), str(first)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Rows:
    """The encoded rows of one chunk.

    Attributes:
        messages: dataset → (key, value) in order.
        rejects: rows that the parser rejected, and messages that the broker would refuse.
    """

    chunk_id: str
    messages: dict[str, list[Message]]
    rejects: list[Reject]

    @property
    def count(self) -> int:
        """Records of all datasets."""
        return sum(map(len, self.messages.values()))

    def keys(self) -> dict[str, list[bytes]]:
        """The message keys per dataset."""
        return {dataset: [key for key, _ in messages] for dataset, messages in self.messages.items()}


def rows(
    source: Source,
    part: Part,
    state: PartState,
    parsed: Parsed,
    *,
    schema_ids: Mapping[str, int],
    former: Sequence[Scope] = (),
    contracts: Mapping[str, Contract] = MappingProxyType({}),
) -> Rows:
    """Encode the rows of one parsed chunk.

    Args:
        state: state of the part before this chunk.
        schema_ids: contract name → registry id, for every dataset of the source and the bookkeeping topics.
        former: what was stated before this edition; rows of those days are not new history.
        contracts: contracts of datasets that are not encoded with today's one.
    """
    name = chunk_id(source.name, part, state.payload_sha256, state.edition, parsed.first_row)
    edition = Edition(state.first_edition_assumed, state.published_at, state.published_at_basis, state.retrieved_at)
    shared: dict[str, encode.Column] = {
        "retrieved_at": pa.scalar(state.retrieved_at, INSTANT),
        "chunk_id": pa.scalar(name),
    }
    messages: dict[str, list[Message]] = {}
    rejects = list(parsed.rejects)
    for dataset, records in parsed.records.items():
        known = is_known(source.days[dataset](records), former) if former else None
        clock = published(records, part, source.publication[dataset], edition, known)
        contract = contracts.get(dataset) or load(dataset)
        encoded = _records(records, contract, schema_ids[dataset], clock, shared)
        messages[dataset], too_long = _fitting(dataset, records, encoded)
        rejects += too_long
    return Rows(name, messages, rejects)


def withdrawals_id(source: str, part: Part, state: PartState, first: int) -> str:
    """The name of a chunk with withdrawals only, beginning with number `first` of the edition's withdrawals."""
    return chunk_id(source, part, state.payload_sha256, state.edition, f"withdrawals {first}")


@dataclass(frozen=True)
class Taken:
    """The withdrawals of a chunk.

    Attributes:
        keys: dataset → key columns, as `Withdrawn.slices` gives them.
        first: number of the first of them among the edition's withdrawals.
        held: withdrawals of the edition that wait for a decision; None before its last chunk, because it is not known
            yet.
        is_unknown: whether there may be more, because a former payload is gone.
        scope: what the edition states in full, as text; None if unknown.
    """

    keys: Mapping[str, pa.RecordBatch]
    first: int = 0
    held: int | None = None
    is_unknown: bool = False
    scope: str | None = None

    @property
    def rows(self) -> int:
        """Withdrawals in the chunk."""
        return sum(batch.num_rows for batch in self.keys.values())


def seal(
    source: Source,
    part: Part,
    state: PartState,
    encoded: Rows,
    taken: Taken,
    *,
    first_row: int,
    is_last: bool,
    slot_id: str,
    payload_bytes: int,
    schema_ids: Mapping[str, int],
) -> Chunk:
    """A chunk of rows and withdrawals with their manifest: all messages of a transaction but the cursor."""
    messages: dict[str, list[Message]] = {**encoded.messages}
    if taken.rows:
        messages[WITHDRAWALS] = list(
            _withdrawals(source.name, part, state, encoded.chunk_id, taken=taken, schema_id=schema_ids[WITHDRAWALS])
        )
    total = sum(row_hash(key, value) for each in messages.values() for key, value in each)
    manifest = {
        "chunk_id": encoded.chunk_id,
        "source": source.name,
        "slot_id": slot_id,
        "payload_sha256": state.payload_sha256,
        "payload_bytes": payload_bytes,
        "part": part.name,
        "first_row": first_row,
        "rows_published": encoded.count,
        "rows_rejected": len(encoded.rejects),
        "row_hash": format_hash(total),
        "datasets": {name: len(each) for name, each in messages.items()},
        "schema_ids": {name: schema_ids[name] for name in messages},
        "is_last_of_part": is_last,
        "published_at": state.published_at,
        "retrieved_at": state.retrieved_at,
        "code_version": CODE_VERSION,
        "resource": part.resource,
        "part_key": part.key,
        "edition": state.edition,
        "scope": taken.scope,
        "rows_withdrawn": None if taken.is_unknown else taken.rows,
        "withdrawals_held": taken.held,
    }
    rejects = encoded.rejects
    messages[REJECTS] = [_reject(source.name, encoded.chunk_id, state, each, schema_ids[REJECTS]) for each in rejects]
    messages[MANIFESTS] = [encode.record(load(MANIFESTS), schema_ids[MANIFESTS], manifest)]
    return Chunk(encoded.chunk_id, messages, encoded.count, len(rejects), format_hash(total), taken.rows)


def _withdrawals(
    source: str, part: Part, state: PartState, name: str, *, taken: Taken, schema_id: int
) -> Iterator[Message]:
    """A record per key that is withdrawn. Its clock is that of the edition, which is always measured."""
    place = taken.first
    for dataset, batch in taken.keys.items():
        columns = {
            "dataset": pa.scalar(dataset),
            "key": batch.column(MESSAGE_KEY),
            "key_fields": encode.key_fields(load(dataset), batch, batch.num_rows),
            "source": pa.scalar(source),
            "resource": pa.scalar(part.resource),
            "part": pa.scalar(part.key),
            "edition": pa.scalar(state.edition),
            "payload_sha256": pa.scalar(state.payload_sha256),
            "published_at": pa.scalar(state.published_at, INSTANT),
            "published_at_basis": pa.scalar(state.published_at_basis or NONE),
            "retrieved_at": pa.scalar(state.retrieved_at, INSTANT),
            "chunk_id": pa.scalar(name),
            "row_number": pa.arange(place, place + batch.num_rows, 1),
        }
        place += batch.num_rows
        yield from encode.messages(load(WITHDRAWALS), schema_id, columns, batch.num_rows)


def _records(
    records: pa.RecordBatch,
    contract: Contract,
    schema_id: int,
    clock: tuple[encode.Column, encode.Column],
    shared: Mapping[str, encode.Column],
) -> list[Message]:
    columns: dict[str, encode.Column] = dict(zip(records.schema.names, records.columns, strict=True))
    columns |= {"published_at": clock[0], "published_at_basis": clock[1], **shared}
    return encode.messages(contract, schema_id, columns, records.num_rows)


def _fitting(dataset: str, records: pa.RecordBatch, rows: list[Message]) -> tuple[list[Message], list[Reject]]:
    """The messages that the broker accepts, and a reject for each other one.

    The producer would refuse such a message at every poll, so that its source could publish nothing more. The parsers
    limit the length of lines, but not of items of a JSON body.
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
