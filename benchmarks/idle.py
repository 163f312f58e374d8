"""`make bench-idle` and `make bench-trickle`: what the running pipeline costs while little happens, or nothing.

`correnteza up` on recorded publications, settled (see `benchmarks.pipeline`): percent of one core and MB at most, as a
whole and by component. Beside it stand broker and registry alone, which nobody uses: the rest is what using them costs.
With `--trickle` every topic of a dataset gets a record a second: the values of a record that was published under the
key of another one, so that every layer has something to write.
"""

import argparse
import io
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.harness import RUNS, machine, report, together
from benchmarks.pipeline import ALL, costs, pipeline, settle
from correnteza.settings import Settings
from schemas import framing
from schemas.contracts import Contract, load
from schemas.registry import Registry
from stream_jobs.silver.tables.model import discover

MEASURED_SECONDS = 60
WARM_UP_SECONDS = 120
MOST_RECORDS = 200
"""Of a topic, to make others from."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trickle", action="store_true", help="a record a second on every topic of a dataset")
    parser.add_argument("--seconds", type=int, default=MEASURED_SECONDS)
    parser.add_argument("--warm-up", type=int, default=WARM_UP_SECONDS, help="seconds of trickle before it is measured")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    before = machine()
    rows = []
    with pipeline("broker", "registry") as (settings, up):
        time.sleep(arguments.seconds)  # the JVMs have started
        found = [costs(up, settings.home, arguments.seconds) for _ in range(arguments.runs)]
        rows += _named("nobody uses it", found)
    with pipeline(*ALL) as (settings, up):
        settle(settings.home)
        if arguments.trickle:
            trickle = Trickle(settings)
            trickle.run(arguments.warm_up)
            run = lambda: trickle.run(arguments.seconds)  # noqa: E731
            found = [costs(up, settings.home, arguments.seconds, run) for _ in range(arguments.runs)]
            rows += _named("trickle", found)
        else:
            found = [costs(up, settings.home, arguments.seconds) for _ in range(arguments.runs)]
            rows += _named("idle", found)
    notes = (f"{arguments.runs} × {arguments.seconds} s", "100 % is one core", f"machine: {before}")
    report("trickle" if arguments.trickle else "idle", "`correnteza up` at rest, by component", rows, notes)


def _named(state: str, runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [{**row, "candidate": f"{state}: {row['candidate']}"} for row in together(runs, "core_percent", "peak_mb")]


@dataclass(frozen=True)
class Published:
    """A record of a topic: its key, its framing, and its content with the schema it was written under."""

    key: bytes
    framing: bytes
    schema: Any
    content: dict[str, Any]


class Trickle:
    """A record a second on every topic of a dataset that holds any."""

    def __init__(self, settings: Settings) -> None:
        registry = Registry(settings.registry)
        self._producer = Producer({"bootstrap.servers": settings.bootstrap, "partitioner": "murmur2_random"})
        self._made: list[tuple[str, Iterator[tuple[bytes, bytes]]]] = []
        for dataset in discover():
            contract = load(dataset)
            records = _published(settings.bootstrap, contract.topic, registry)
            if records:
                self._made.append((contract.topic, _records(contract, records)))

    def run(self, seconds: int) -> None:
        """One round a second."""
        began = time.monotonic()
        for second in range(seconds):
            for topic, made in self._made:
                key, value = next(made)
                self._producer.produce(topic, value, key)
            self._producer.flush()
            time.sleep(max(0.0, began + second + 1 - time.monotonic()))


def _published(bootstrap: str, topic: str, registry: Registry) -> "list[Published]":
    """Key, framing and content of a topic's first records."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "trickle", "isolation.level": "read_committed"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
    found = []
    schemas: dict[int, Any] = {}
    for message in consumer.consume(MOST_RECORDS, timeout=5):
        value, key = message.value(), message.key()
        if message.error() or not isinstance(value, bytes) or not isinstance(key, bytes):
            continue
        framed = framing.split(value)
        if framed is None:
            continue
        schema_id, body = framed
        if schema_id not in schemas:
            schemas[schema_id] = fastavro.parse_schema(json.loads(registry.schema_by_id(schema_id) or "null"))
        content = fastavro.schemaless_reader(io.BytesIO(body), schemas[schema_id], None)
        found.append(Published(key, framing.header(schema_id), schemas[schema_id], content))
    consumer.close()
    return found


def _records(contract: Contract, published: list[Published]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of new versions for ever: known from now on, with the values of the record after."""
    for number in itertools.count():
        own, other = (published[(number + step) % len(published)] for step in (0, 1))
        now = datetime.now(UTC)
        values = {name: other.content[name] for name in contract.value_fields}
        content = {**own.content, **values, "published_at": now, "retrieved_at": now, "chunk_id": "trickle"}
        value = io.BytesIO(own.framing)
        value.seek(framing.HEADER_BYTES)
        fastavro.schemaless_writer(value, own.schema, {**content, "row_number": number})
        yield own.key, value.getvalue()


if __name__ == "__main__":
    main()
