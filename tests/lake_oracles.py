"""Compare the lake with Kafka and the ledger, with delta-rs, DuckDB and a separate consumer.

Nothing here is shared with the pipeline's readers or with `verify`. Each oracle returns what contradicts, in words;
an empty list means that all is right.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import xxhash
from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable

from storage.location import Location, Remote
from tests import oracles

Places = set[tuple[str, int, int]]
"""(topic id, partition, offset) of records."""

SHOWN = 5


def utc(value: Any) -> Any:
    """An instant in UTC, whatever zone a reader has put on it: equal instants must look equal."""
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def order_free_hash(things: Iterable[Any]) -> tuple[int, int]:
    """How many things, and the sum of their hashes, modulo 2**64: whatever the order."""
    hashes = [xxhash.xxh64_intdigest(repr(each).encode()) for each in things]
    return len(hashes), sum(hashes) % 2**64


def table(lake: Location, name: str, columns: list[str] | None = None) -> pa.Table | None:
    """The rows of `<layer>.<table>`; None where there is no table. A dataset's dot is an underline there."""
    layer, _, name = name.partition(".")
    path = lake / layer / name.replace(".", "_")
    reached = reached_by(path)
    if not DeltaTable.is_deltatable(str(path), reached):
        return None
    return DeltaTable(str(path), storage_options=reached).to_pyarrow_table(columns=columns)


def reached_by(path: Location) -> dict[str, str] | None:
    """How delta-rs reaches a table in a store; nothing for one on a disk."""
    return path.s3.delta if isinstance(path, Remote) else None


def committed(bootstrap: str, prefix: str, dataset: str) -> Places:
    """Every record that a `read_committed` consumer sees in a dataset's topic, once no transaction is open in it."""
    contract = json.loads((oracles.SCHEMAS / f"{dataset}.avsc").read_text())
    topic = prefix + contract["topic"]
    oracles.end_offsets(bootstrap, [topic])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic_id = str(admin.describe_topics(TopicCollection([topic]))[topic].result(30).topic_id)
    consumer = oracles._consumer(bootstrap, "read_committed")
    found: Places = set()
    for partition in range(contract["partitions"]):
        consumer.assign([TopicPartition(topic, partition, 0)])
        while not (message := _next(consumer)).error():
            found.add((topic_id, partition, message.offset()))
    consumer.close()
    return found


def coverage(bootstrap: str, prefix: str, lake: Location, datasets: Iterable[str]) -> list[str]:
    """O1: bronze holds exactly the offsets that are committed in Kafka, under the topic's own id."""
    found = []
    for dataset in datasets:
        kafka, bronze = committed(bootstrap, prefix, dataset), set(places(lake, dataset))
        found += _differ(f"bronze.{dataset}", "lacks", kafka - bronze)
        found += _differ(f"bronze.{dataset}", "holds what Kafka does not:", bronze - kafka)
    return found


def places(lake: Location, dataset: str) -> list[tuple[str, int, int]]:
    """Where each row of a bronze table stood in Kafka."""
    rows = table(lake, f"bronze.{dataset}", ["topic_id", "partition", "offset"])
    return [] if rows is None else list(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))


def acknowledged(ledger: Path) -> dict[str, dict[str, Any]]:
    """Chunk → the ledger's line. A last line cut off by a kill is none: it was never acknowledged to anybody."""
    lines = ledger.read_text().splitlines(keepends=True) if ledger.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return {entry["chunk_id"]: entry for entry in whole}


def ledger_covered(ledger: Path, bootstrap: str, prefix: str, lake: Location, datasets: Iterable[str]) -> list[str]:
    """O2: every acknowledged chunk has its manifest in Kafka, and its manifest and all its rows in bronze."""
    promised = acknowledged(ledger)
    in_kafka = {record.fields["chunk_id"] for record in oracles.read(bootstrap, prefix, "ingest.manifests")}
    in_bronze = {row["chunk_id"] for row in _records(lake, "ingest.manifests", ("chunk_id",))}
    counted: dict[str, int] = defaultdict(int)
    for dataset in datasets:
        for chunk, rows in _rows_by_chunk(lake, dataset).items():
            counted[chunk] += rows
    found = [f"chunk {chunk} was acknowledged and is not in Kafka" for chunk in promised.keys() - in_kafka]
    found += [f"chunk {chunk} was acknowledged and is not in bronze" for chunk in promised.keys() - in_bronze]
    found += [
        f"chunk {chunk}: {entry['rows']} rows were acknowledged, bronze holds {counted[chunk]}"
        for chunk, entry in promised.items()
        if counted[chunk] != entry["rows"]
    ]
    return sorted(found)


def doubled(lake: Location, datasets: Iterable[str]) -> list[str]:
    """O3: neither a place in Kafka nor a row of a payload (or a chunk's manifest) is twice in bronze."""
    found = []
    for dataset in datasets:
        rows = _bronze(lake, dataset)
        if rows is None:
            continue
        of_chunk = "record.chunk_id" + (", record.row_number" if _has_field(rows, "row_number") else "")
        for what, key, condition in (
            ("place", 'topic_id, "partition", "offset"', "true"),
            ("row of a payload", of_chunk, "record.chunk_id IS NOT NULL"),
        ):
            many = duckdb.sql(f"SELECT {key}, count(*) FROM rows WHERE {condition} GROUP BY ALL HAVING count(*) > 1")
            found += [f"bronze.{dataset}: {what} {each[:-1]} stands {each[-1]} times" for each in many.fetchall()]
    return sorted(found)


def chunks_whole(lake: Location, datasets: Iterable[str]) -> list[str]:
    """O5: bronze holds of every chunk what its manifest counts, and no row without a manifest."""
    counted: dict[str, dict[str, int]] = defaultdict(dict)
    for dataset in datasets:
        for chunk, rows in _rows_by_chunk(lake, dataset).items():
            counted[chunk][dataset] = rows
    rejects = _rows_by_chunk(lake, "ingest.rejects")
    found, known = [], set()
    for manifest in _records(lake, "ingest.manifests", ("chunk_id", "rows_rejected", "datasets")):
        chunk = manifest["chunk_id"]
        known.add(chunk)
        wanted = {name: rows for name, rows in dict(manifest["datasets"]).items() if rows}
        if counted[chunk] != wanted:
            found.append(f"chunk {chunk}: bronze holds {counted[chunk]}, its manifest counts {wanted}")
        if rejects.get(chunk, 0) != manifest["rows_rejected"]:
            found.append(f"chunk {chunk}: {rejects.get(chunk, 0)} rejects, its manifest: {manifest['rows_rejected']}")
    strays = {chunk for chunk, held in counted.items() if held} - known
    return sorted(found + [f"chunk {chunk} has rows and no manifest" for chunk in strays])


def _bronze(lake: Location, dataset: str) -> pa.Table | None:
    return table(lake, f"bronze.{dataset}", ["topic_id", "partition", "offset", "record"])


def _has_field(rows: pa.Table, name: str) -> bool:
    return any(field.name == name for field in rows.schema.field("record").type)


def _rows_by_chunk(lake: Location, dataset: str) -> dict[str, int]:
    rows = _bronze(lake, dataset)
    if rows is None:
        return {}
    counted = duckdb.sql("SELECT record.chunk_id, count(*) FROM rows WHERE record.chunk_id IS NOT NULL GROUP BY ALL")
    return dict(counted.fetchall())


def _records(lake: Location, dataset: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = _bronze(lake, dataset)
    if rows is None:
        return []
    wanted = ", ".join(f"record.{field} AS {field}" for field in fields)
    found: list[dict[str, Any]] = duckdb.sql(f"SELECT {wanted} FROM rows").to_arrow_table().to_pylist()
    return found


def _next(consumer: Any) -> Any:
    message = consumer.poll(30)
    assert message is not None, "the broker does not answer"
    return message


def _differ(where: str, how: str, these: Places) -> list[str]:
    if not these:
        return []
    named = ", ".join(f"{partition}/{offset}" for _, partition, offset in sorted(these)[:SHOWN])
    return [f"{where} {how} {len(these)} records: {named}{' ...' if len(these) > SHOWN else ''}"]
