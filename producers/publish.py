"""The transactional publisher: one per source, one transaction per chunk.

Rows, rejects, manifest and cursor become visible together or not at all. The transactional id is fixed per source: a
second process with the same id fences the first, whose next step fails.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer

from foundation import kafka
from foundation.errors import DependencyUnavailable, FencedError, TransientError
from foundation.failpoints import failpoint
from producers.chunk import CURSORS, Chunk
from producers.encode import Message
from schemas.contracts import load
from schemas.limits import MAX_RECORD_BYTES

TRANSACTION_TIMEOUT = 60.0
"""Seconds that a transaction may stay open. Nothing is fetched during one, so only a broker that hangs takes that
long."""

START_TIMEOUT = 30.0
REDONE = 3
"""How often a chunk is sent again after the broker asked to abort its transaction."""

Place: TypeAlias = tuple[int, int]
"""(partition, offset)"""

_FENCED_CODES = {
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
}


class Publisher:
    """Publishes chunks of one source.

    Attributes:
        has_failed: whether a transaction failed for good: then nothing more can be published with this publisher.
    """

    def __init__(self, bootstrap: str, prefix: str, source: str, *, ledger: Path | None = None) -> None:
        """Args: ledger: file to which each acknowledged chunk is appended, for tests to compare with."""
        self._prefix = prefix
        self._ledger = ledger
        self.has_failed = False
        self._id = f"{prefix}correnteza.{source}"
        self._producer = Producer(
            kafka.client(
                bootstrap,
                {
                    "transactional.id": self._id,
                    "transaction.timeout.ms": int(TRANSACTION_TIMEOUT * 1000),
                    "partitioner": "murmur2_random",
                    "linger.ms": 20,
                    "batch.num.messages": 100_000,
                    "batch.size": 1 << 20,
                    "compression.type": "lz4",
                    "message.max.bytes": MAX_RECORD_BYTES,
                    # A whole chunk fits: a batch half refused by a full queue would be out of order when sent again.
                    "queue.buffering.max.messages": 2_000_000,
                    "queue.buffering.max.kbytes": 1 << 20,
                },
            )
        )

    def start(self) -> None:
        """Fence a predecessor and abort its open transaction. Raises: TransientError, FencedError."""
        self._until_done(lambda: self._producer.init_transactions(START_TIMEOUT), tries=2)

    def publish(self, chunk: Chunk, cursor: Message) -> None:
        """Commit a chunk with the cursor after it; returns once the broker has acknowledged the commit.

        Raises:
            FencedError: another process took over; nothing of this chunk is visible.
            DependencyUnavailable: the broker is away or refuses; nothing of this chunk is visible.
        """
        self.transact(lambda: self._send_all({**chunk.messages, CURSORS: [cursor]}))
        if self._ledger is not None:
            self._acknowledge(chunk)
        failpoint("after_commit_txn")

    def remember(self, cursor: Message) -> None:
        """Commit only a cursor: the state of a part changed, and there are no rows to publish. Raises: as `publish`."""
        self.transact(lambda: self._send_all({CURSORS: [cursor]}))

    def transact(self, fill: Callable[[], None]) -> None:
        """Commit all that `fill` sends as one transaction; returns once the broker has acknowledged the commit.

        Args:
            fill: sends messages with this publisher; called again when the broker asked to abort. Raises:
                KafkaException.

        Raises:
            FencedError, DependencyUnavailable: as `publish`.
        """
        for attempt in range(REDONE + 1):
            try:
                self._producer.begin_transaction()
                fill()
                # The commit would flush too; here it is done before the failure point, so that all messages are at the
                # broker.
                self._producer.flush(TRANSACTION_TIMEOUT)
                failpoint("after_produce")
                failpoint("before_commit_txn")
                self._commit()
                return
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                if cause.fatal() or not cause.txn_requires_abort() or attempt == REDONE:
                    raise self._translated(cause) from error
                self._until_done(self._producer.abort_transaction)

    def place(self, name: str, messages: Sequence[tuple[bytes | None, bytes]]) -> list[Place]:
        """Within `transact`: send to a contract's topic, wait for the broker, and return the place of each message.

        Raises:
            KafkaException: one was not delivered.
        """
        places: dict[int, Place] = {}
        failed: list[KafkaError] = []

        def delivered(number: int, error: KafkaError | None, message: Any) -> None:
            if error is not None:
                failed.append(error)
            else:
                places[number] = (message.partition(), message.offset())

        for number, (key, value) in enumerate(messages):
            topic = self._prefix + load(name).topic
            self._producer.produce(topic, key=key, value=value, on_delivery=partial(delivered, number))
        self._producer.flush(TRANSACTION_TIMEOUT)
        if failed or len(places) < len(messages):
            raise KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))
        return [places[number] for number in range(len(messages))]

    def _send_all(self, messages_by_name: Mapping[str, list[Message]]) -> None:
        for name, messages in messages_by_name.items():
            self._produce(self._prefix + load(name).topic, messages)

    def _produce(self, topic: str, messages: list[Message]) -> None:
        batch: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in messages]
        if batch and self._producer.produce_batch(topic, batch) != len(batch):
            failed = next(message["_error"] for message in batch if "_error" in message)
            error = failed if isinstance(failed, KafkaError) else KafkaError(KafkaError._FAIL, str(failed))
            raise KafkaException(error)

    def _commit(self) -> None:
        """Commit as librdkafka advises: without a time limit, and repeatedly as long as the error is retriable."""
        self._until_done(self._producer.commit_transaction, translate=False)

    def _until_done(self, step: Callable[[], object], *, tries: int | None = None, translate: bool = True) -> None:
        tried = 0
        while True:
            tried += 1
            try:
                step()
                return
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                if cause.retriable() and (tries is None or tried < tries):
                    continue
                if not translate:
                    raise
                raise self._translated(cause) from error

    def _translated(self, error: KafkaError) -> DependencyUnavailable | FencedError:
        self.has_failed = True
        if error.code() in _FENCED_CODES or (error.fatal() and "fenced" in str(error).lower()):
            return FencedError(
                f"another process publishes as {self._id}; this one was fenced and published nothing more",
                hint="let one process poll a source at a time",
            )
        kind = DependencyUnavailable if error.fatal() else TransientError
        return kind(f"cannot publish as {self._id}: {error}", hint="correnteza status")

    def _acknowledge(self, chunk: Chunk) -> None:
        entry: Mapping[str, object] = {
            "chunk_id": chunk.chunk_id,
            "rows": chunk.rows,
            "rejects": chunk.rejects,
            "row_hash": chunk.row_hash,
        }
        assert self._ledger is not None
        self._ledger.parent.mkdir(parents=True, exist_ok=True)
        with self._ledger.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
