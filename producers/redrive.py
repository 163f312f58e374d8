"""Close dead letters: publish the record again, and write a closing record in the same transaction.

The copy goes through Kafka like any other record, so bronze and silver process it as usual (docs/adr/0014). Two
redrives of a dataset cannot both succeed: the second fences the first. Transactions that a killed redrive has committed
are in the topic of the closing records; others were never visible.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import fastavro
from fastavro.schema import parse_schema

from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from producers import committed, encode
from producers.encode import Message
from producers.publish import Publisher
from schemas import framing
from schemas.contracts import Contract, load
from schemas.registry import Registry

REDRIVES = "ingest.redrives"
BATCH = 500
"""Dead letters per transaction: few enough that it is never open for long."""


Action = Literal["redriven", "discarded"]


@dataclass(frozen=True)
class DeadLetter:
    """A record that bronze could not decode, or a row that silver quarantined.

    Attributes:
        topic_id, partition, offset: place of the original.
        reason: decode status, or the rules it broke.
        key: of the message.
        value: the original's bytes; None when bronze decoded it and kept only `record`.
        record: the fields, by name, of a row that decoded.
    """

    topic_id: str
    partition: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None = None
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Closed:
    """A closed dead letter.

    Attributes:
        copy: (partition, offset) of the copy; None when it was discarded, or closed before.
        is_news: whether this call closed it.
    """

    letter: DeadLetter
    copy: tuple[int, int] | None
    is_news: bool


def still_undecodable(contract: Contract, value: bytes, writer: str | None) -> str | None:
    """Why a record's bytes cannot be read today; None when they can.

    Args:
        writer: text of the schema that the record names, from `ops.schemas`; None if it is not there.
    """
    found = framing.split(value)
    if found is None:
        return "no Confluent frame: it was not written by a producer of Avro"
    schema_id, body = found
    if writer is None:
        return f"the driver knows no schema id {schema_id}: register it, and give the driver half a minute"
    try:
        fastavro.schemaless_reader(io.BytesIO(body), parse_schema(json.loads(writer)), parse_schema(contract.schema))
    except Exception as error:  # hostile bytes or a foreign schema may raise anything
        return f"still not readable: {type(error).__name__}: {error}"[:200]
    return None


class Closer:
    """Closes dead letters of one dataset."""

    def __init__(self, bootstrap: str, prefix: str, registry: Registry, dataset: str) -> None:
        """Raises: UnsafeState: the registry refuses a contract. TransientError: it does not answer."""
        self._contract, self._bookkeeping = load(dataset), load(REDRIVES)
        self._bootstrap, self._prefix, self._registry = bootstrap, prefix, registry
        self._ids = registry.register([self._contract, self._bookkeeping], prefix)
        self._publisher = Publisher(bootstrap, prefix, f"redrive.{dataset}")

    def close(self, letters: Sequence[DeadLetter], action: Action, note: str | None = None) -> Iterator[Closed]:
        """Close the dead letters that are still open, in transactions of `BATCH`.

        Raises:
            FencedError: another redrive of the dataset took over; nothing of the running batch is visible.
            DependencyUnavailable: broker or registry is away.
        """
        self._publisher.start()
        done = self._closed_before()
        pending = []
        for letter in letters:
            if (letter.topic_id, letter.partition, letter.offset) in done:
                yield Closed(letter, None, is_news=False)
            else:
                pending.append(letter)
        for first in range(0, len(pending), BATCH):
            yield from self._close(pending[first : first + BATCH], action, note)

    def _close(self, letters: Sequence[DeadLetter], action: Action, note: str | None) -> list[Closed]:
        copies: list[tuple[int, int] | None] = []

        def fill() -> None:
            copies[:] = [None] * len(letters)
            if action == "redriven":
                messages = [(letter.key, self._value(letter)) for letter in letters]
                copies[:] = self._publisher.place(self._contract.name, messages)
            closing = [self._closing(letter, copy, action, note) for letter, copy in zip(letters, copies, strict=True)]
            self._publisher.place(REDRIVES, closing)
            failpoint("redrive_before_commit")

        self._publisher.transact(fill)
        failpoint("redrive_after_commit")
        return [Closed(letter, copy, is_news=True) for letter, copy in zip(letters, copies, strict=True)]

    def _value(self, letter: DeadLetter) -> bytes:
        if letter.value is not None:
            return letter.value
        assert letter.record is not None
        # A field that the contract gained after the row was read is null.
        fields = {
            field["name"]: field.get("default") if (value := letter.record.get(field["name"])) is None else value
            for field in self._contract.schema["fields"]
        }
        return encode.record(self._contract, self._ids[self._contract.name], fields)[1]

    def _closing(self, letter: DeadLetter, copy: tuple[int, int] | None, action: Action, note: str | None) -> Message:
        partition, offset = copy or (None, None)
        fields = {
            "dataset": self._contract.name,
            "topic_id": letter.topic_id,
            "partition": letter.partition,
            "offset": letter.offset,
            "action": action,
            "reason": letter.reason,
            "new_partition": partition,
            "new_offset": offset,
            "closed_at": datetime.now(UTC),
            "note": note,
        }
        return encode.record(self._bookkeeping, self._ids[REDRIVES], fields)

    def _closed_before(self) -> set[tuple[str, int, int]]:
        """(topic id, partition, offset) of the dataset's originals with a committed closing record."""
        own = f"{self._contract.name}|".encode()
        reader = parse_schema(self._bookkeeping.schema)
        found = set()
        for record in committed.records(self._bootstrap, self._prefix + self._bookkeeping.topic):
            if record.value is None or not (record.key or b"").startswith(own):
                continue
            framed = framing.split(record.value)
            if framed is None:
                raise UnsafeState(
                    f"{self._bookkeeping.topic} holds a record that is not a closing record: it has no schema id"
                )
            schema_id, body = framed
            text = self._registry.schema_by_id(schema_id)
            writer = parse_schema(json.loads(text)) if text else reader
            closing: Any = fastavro.schemaless_reader(io.BytesIO(body), writer, reader)
            found.add((closing["topic_id"], closing["partition"], closing["offset"]))
        return found
