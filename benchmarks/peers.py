"""What the ingest benchmark compares with: `python -m benchmarks.peers --bootstrap … --topic … [--table …]`.

Without a table it only consumes: the limit of any Python consumer here. With one it is what people write today:
consume a batch, decode each record with fastavro, append with delta-rs, and remember the batch in the table's own
transaction action, so that a restart neither loses nor doubles.
"""

import argparse
import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import fastavro
import pyarrow as pa
import xxhash
from confluent_kafka import Consumer, Message, TopicPartition
from deltalake import CommitProperties, Transaction, write_deltalake

from benchmarks.generator import CONTRACT
from benchmarks.harness import TreeMeter
from schemas.arrow import arrow_schema

BATCH_ROWS = 100_000
POLL_ROWS = 10_000


def main() -> None:
    """Run one peer and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--table", type=Path, help="append here, by hand; without it only consume")
    arguments = parser.parse_args()
    with TreeMeter() as meter:
        began = time.perf_counter()
        batches = consume(arguments.bootstrap, arguments.topic)
        rows = append_all(batches, arguments.table) if arguments.table else sum(len(batch) for batch in batches)
        seconds = time.perf_counter() - began
    cost = meter.cost
    print(
        json.dumps({"rows": rows, "seconds": seconds, "cpu_seconds": cost.cpu_seconds, "peak_bytes": cost.peak_bytes})
    )


def consume(bootstrap: str, topic: str) -> Iterator[list[Message]]:
    """Yield batches of at most `BATCH_ROWS` messages until every partition's end as it stands now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.min.bytes": 1 << 20,
            "queued.max.messages.kbytes": 128 << 10,
        }
    )
    partitions = consumer.list_topics(topic).topics[topic].partitions
    left = 0
    positions = []
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition))
        positions.append(TopicPartition(topic, partition, low))
        left += high - low  # the benchmark's topic is written without transactions: no markers
    consumer.assign(positions)
    batch: list[Message] = []
    while left > 0:
        messages = consumer.consume(POLL_ROWS, timeout=10)
        left -= len(messages)
        batch += messages
        if len(batch) >= BATCH_ROWS or left <= 0:
            yield batch
            batch = []
    consumer.close()


def append_all(batches: Iterator[list[Message]], table: Path) -> int:
    """Decode and append every batch; returns the rows written."""
    schema = fastavro.parse_schema(CONTRACT.schema)
    columns = pa.struct(list(arrow_schema(CONTRACT)))
    rows = 0
    for version, batch in enumerate(batches):
        records = [fastavro.schemaless_reader(_payload(message), schema, None) for message in batch]
        frame = pa.table(
            {
                "partition": pa.array([message.partition() for message in batch], pa.int32()),
                "offset": pa.array([message.offset() for message in batch], pa.int64()),
                "kafka_timestamp": pa.array([message.timestamp()[1] for message in batch], pa.timestamp("ms", "UTC")),
                "key": pa.array([message.key() for message in batch], pa.binary()),
                "value_hash": pa.array([_hash(message) for message in batch], pa.uint64()).view(pa.int64()),
                "record": pa.array(records, columns),
            }
        )
        transactions = [Transaction("handwritten", version)]
        write_deltalake(table, frame, mode="append", commit_properties=CommitProperties(app_transactions=transactions))
        rows += len(batch)
    return rows


def _payload(message: Message) -> BytesIO:
    return BytesIO(message.value()[5:])  # after magic byte and schema id


def _hash(message: Message) -> int:
    return xxhash.xxh64_intdigest(message.value(), 42)


if __name__ == "__main__":
    main()
