"""What a publisher really left in Kafka: every record counted and hashed per chunk, beside what the manifests say.

A consumer of its own, which shares only the row hash with the publisher. Memory grows with the chunks, not the rows.
"""

import io
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from foundation.rowhash import format_hash, row_hash
from schemas.contracts import load

MANIFESTS = "ingest.manifests"
_BATCH = 10_000
_SILENCE = 60.0  # seconds
# A record ends with its chunk's id, 32 digits after their length (zigzag: 64), and its row number of up to 5 bytes.
_END = re.compile(rb"@([0-9a-f]{32}).{1,5}\Z", re.DOTALL)
_LONGEST_END = 38


@dataclass(frozen=True)
class Found:
    """What is committed of one dataset.

    Attributes:
        published_at: when each chunk's manifest was produced, Unix seconds, ascending.
        problems: each chunk that is not there exactly once and whole, in words.
    """

    records: int
    chunks: int
    published_at: list[float]
    problems: list[str]


def read_back(bootstrap: str, prefix: str, dataset: str) -> Found:
    """Count what a read-committed consumer sees of a dataset. Raises: KafkaException, TimeoutError."""
    contract = load(MANIFESTS)
    schema = fastavro.parse_schema(contract.schema)
    counts: Counter[str] = Counter()
    hashes: Counter[str] = Counter()
    for message in _messages(bootstrap, prefix + load(dataset).topic):
        key, value = message.key(), message.value()
        match = _END.search(value[-_LONGEST_END:])
        chunk = match[1].decode() if match else "no chunk"
        counts[chunk] += 1
        hashes[chunk] += row_hash(key, value)
    seen: Counter[str] = Counter()
    published_at = []
    problems = []
    for message in _messages(bootstrap, prefix + contract.topic):
        manifest = fastavro.schemaless_reader(io.BytesIO(message.value()[5:]), schema, None)
        chunk = manifest["chunk_id"]
        # A chunk of several datasets has one hash for all, so only where there is one can it be compared.
        alone = list(manifest["datasets"]) == [dataset]
        seen[chunk] += 1
        published_at.append(message.timestamp()[1] / 1000)
        if counts[chunk] != manifest["datasets"].get(dataset, 0):
            problems.append(f"chunk {chunk}: {counts[chunk]} records, {manifest['datasets']} in its manifest")
        elif alone and format_hash(hashes[chunk]) != manifest["row_hash"]:
            problems.append(f"chunk {chunk}: other records than its manifest was made for")
    problems += [f"chunk {chunk}: {count} manifests" for chunk, count in seen.items() if count > 1]
    problems += [f"{counts[chunk]} records of {chunk}, which has no manifest" for chunk in counts.keys() - seen.keys()]
    return Found(counts.total(), len(seen), sorted(published_at), problems)


def _messages(bootstrap: str, topic: str) -> Iterator[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read-back",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.min.bytes": 1 << 16,
            "queued.max.messages.kbytes": 64 << 10,
        }
    )
    try:
        open_partitions = set(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in open_partitions])
        heard_at = time.monotonic()
        while open_partitions:
            # A batch that is not full is only given when the time is up, so that time is short.
            batch = consumer.consume(_BATCH, timeout=0.5)
            if batch:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE:
                raise TimeoutError(f"the broker said nothing about {topic} for {_SILENCE:.0f} s")
            for message in batch:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
