"""The content of Kafka, read with a separate consumer and fastavro, without code of the pipeline."""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import xxhash
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.helpers import wait_for

WITHDRAWALS = "ingest.withdrawals"
SCHEMAS = Path(__file__).parent.parent / "schemas"


@dataclass(frozen=True)
class Record:
    """One message as read: where it stood, its bytes, and what they say under the contract's schema."""

    dataset: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    fields: dict[str, Any]


def read(
    bootstrap: str, prefix: str, dataset: str, isolation: str = "read_committed", *, settled: bool = True
) -> list[Record]:
    """Everything in a dataset's topic that a reader of this isolation level sees.

    Args:
        settled: wait first until no transaction is open there: a commit is acknowledged before its markers are written.
    """
    schema = schema_of(dataset)
    return [
        Record(dataset, partition, offset, key, value, fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None))
        for partition, offset, key, value in messages(bootstrap, prefix, dataset, isolation, settled=settled)
    ]


def schema_of(dataset: str) -> Any:
    """The contract's own schema."""
    contract = json.loads((SCHEMAS / f"{dataset}.avsc").read_text())
    return fastavro.parse_schema({name: contract[name] for name in ("type", "name", "fields")})


def messages(
    bootstrap: str, prefix: str, dataset: str, isolation: str = "read_committed", *, settled: bool = True
) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Partition, offset, key and value of everything that `read` reads, whatever it is."""
    contract = json.loads((SCHEMAS / f"{dataset}.avsc").read_text())
    topic = prefix + contract["topic"]
    if settled:
        end_offsets(bootstrap, [topic])
    consumer = _consumer(bootstrap, isolation)
    for partition in range(contract["partitions"]):
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            message = consumer.poll(30)
            assert message is not None, "the broker does not answer"
            if message.error():
                break  # the end of the partition
            yield partition, message.offset(), message.key(), message.value()
    consumer.close()


def end_offsets(bootstrap: str, topics: Iterable[str]) -> dict[str, int]:
    """End of each topic, transaction markers included: equal before and after if there was no transaction at all.

    Waits until no transaction is open in them.
    """
    readers = [_consumer(bootstrap, isolation) for isolation in ("read_committed", "read_uncommitted")]

    def settled_end(topic: str) -> tuple[int] | None:
        try:
            partitions = readers[0].list_topics(topic, timeout=30).topics[topic].partitions
            decided, written = (
                sum(reader.get_watermark_offsets(TopicPartition(topic, each), timeout=30)[1] for each in partitions)
                for reader in readers
            )
        except KafkaException:
            return None  # a topic just created: its leader is known in a moment
        return (written,) if decided == written else None

    found = {topic: wait_for(lambda topic=topic: settled_end(topic), f"{topic} to settle")[0] for topic in topics}
    for reader in readers:
        reader.close()
    return found


def _consumer(bootstrap: str, isolation: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "oracle",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
            "log_level": 0,
        }
    )


def problems(bootstrap: str, prefix: str, datasets: Iterable[str], isolation: str = "read_committed") -> list[str]:
    """Contradictions to "every chunk once and whole" (O3, O5): empty when all is well.

    Each manifest stands once; its counts and order-free hash are those of the rows, withdrawals and rejects that carry
    its chunk id; no row stands without its manifest, and none twice.
    """
    found = []
    rows: dict[str, list[Record]] = defaultdict(list)
    for dataset in (*datasets, WITHDRAWALS):
        for record in read(bootstrap, prefix, dataset, isolation):
            rows[record.fields["chunk_id"]].append(record)
    rejects = Counter(record.fields["chunk_id"] for record in read(bootstrap, prefix, "ingest.rejects", isolation))
    manifests = [record.fields for record in read(bootstrap, prefix, "ingest.manifests", isolation)]
    counted = Counter(manifest["chunk_id"] for manifest in manifests)
    found += [f"chunk {chunk} has {count} manifests" for chunk, count in counted.items() if count > 1]
    found += [f"chunk {chunk} has rows and no manifest" for chunk in (rows.keys() | rejects.keys()) - counted.keys()]
    places = Counter((r.dataset, chunk, r.fields["row_number"]) for chunk, each in rows.items() for r in each)
    found += [f"{place} stands {count} times" for place, count in places.items() if count > 1]
    for manifest in manifests:
        chunk, own = manifest["chunk_id"], rows[manifest["chunk_id"]]
        withdrawn = sum(record.dataset == WITHDRAWALS for record in own)
        if (len(own) - withdrawn, rejects[chunk]) != (manifest["rows_published"], manifest["rows_rejected"]):
            found.append(f"chunk {chunk}: {len(own)} rows and {rejects[chunk]} rejects are not what its manifest says")
        if withdrawn != manifest["datasets"].get(WITHDRAWALS, 0):
            found.append(f"chunk {chunk}: {withdrawn} withdrawals are not what its manifest says")
        if _hash(own) != manifest["row_hash"]:
            found.append(f"chunk {chunk}: the rows do not hash to what its manifest says")
    return found


def ledger_problems(bootstrap: str, prefix: str, ledger: Path) -> list[str]:
    """Violations of "acknowledged is visible, and visible is acknowledged": empty when both name the same chunks."""
    visible = {record.fields["chunk_id"] for record in read(bootstrap, prefix, "ingest.manifests")}
    acknowledged = [json.loads(line)["chunk_id"] for line in ledger.read_text().splitlines()] if ledger.exists() else []
    found = [f"chunk {each} was acknowledged and is not to be seen" for each in sorted(set(acknowledged) - visible)]
    found += [f"chunk {each} is to be seen and was never acknowledged" for each in sorted(visible - set(acknowledged))]
    return found + [f"chunk {each} was acknowledged {n} times" for each, n in Counter(acknowledged).items() if n > 1]


def moved(bootstrap: str, before: Mapping[str, int]) -> list[str]:
    """Topics whose end is not where it was: something was written there, if only the marker of a transaction."""
    now = end_offsets(bootstrap, before)
    return [f"{topic} went from {before[topic]} to {end}" for topic, end in now.items() if end != before[topic]]


def _hash(records: Iterable[Record]) -> str:
    """Spark's sum of xxhash64(key, xxhash64(value)), written again from its definition."""
    total = 0
    for record in records:
        value = xxhash.xxh64_intdigest(record.value, 42).to_bytes(8, "little")
        total += xxhash.xxh64_intdigest(value, xxhash.xxh64_intdigest(record.key, 42))
    return f"{total % 2**64:016x}"
