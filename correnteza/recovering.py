"""Recover rows of a bronze table from the payload archive that neither Kafka nor the table has any more.

The manifests state what a table must hold; missing rows are parsed again from the archived payloads and added to the
shadow. They differ from records of Kafka only in their place: topic id `archive`, partition -1, a running number as
offset. The manifest of a chunk gives the timestamp and the schema, and its hash proves every byte.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foundation.rowhash import MODULUS, value_hash
from monitoring.lag.status import bronze_table
from monitoring.lake import Lake
from monitoring.proof.checks import erasures
from monitoring.proof.checks.erasures import Gone
from monitoring.proof.checks.redrives import TRANSACTION_SPAN
from monitoring.proof.checks.row_hashes import row_hashes
from monitoring.snapshot import Snapshot
from producers import sources
from producers.archive import Archive
from producers.chunk import MANIFESTS, REJECTS, WITHDRAWALS
from producers.republished import Erased, Manifest, Republished, RepublishedChunk
from schemas.contracts import Contract, load, load_all
from sinks.ops import schemas_table
from storage.location import Location, location
from stream_jobs.places import SCHEMAS, Places
from stream_jobs.rebuild.bronze import FIRST_OF_ARCHIVE, FROM_ARCHIVE, NO_PARTITION

_TABLE = f"bronze.{MANIFESTS.replace('.', '_')}"
_CANDIDATES = pa.schema(
    {
        "number": pa.int64(),
        "timestamp": pa.timestamp("us", "UTC"),
        "key": pa.binary(),
        "value": pa.binary(),
        "value_hash": pa.int64(),
    }
)


@dataclass(frozen=True)
class Lost:
    """Rows that cannot be recovered.

    Attributes:
        rows: how many at least; None if unknown.
    """

    chunk_id: str | None
    rows: int | None
    why: str

    def __str__(self) -> str:
        told = "an unknown number of rows" if self.rows is None else f"{self.rows} rows"
        return f"{told}{f' of chunk {self.chunk_id}' if self.chunk_id else ''}: {self.why}"


@dataclass(frozen=True)
class Recovery:
    """The rows of one bronze table that were recovered from the archive.

    Attributes:
        file: the rows in the form of Spark's Kafka source; None if there are none.
        rows: how many.
    """

    file: Path | None
    rows: int
    lost: tuple[Lost, ...]


def manifests(places: Places) -> list[Manifest]:
    """All manifests of bronze, with Kafka's timestamp, in their order.

    Call it before the shadow is filled: then Kafka has given, or lost, all rows of every manifest.
    """
    lake = Lake(location(places.lake))
    if not lake.has(_TABLE):
        return []
    rows = lake.rows(
        f"SELECT record, kafka_timestamp FROM {_TABLE} WHERE decode_status = 'ok' ORDER BY kafka_timestamp, \"offset\""
    )
    return [_manifest(row) for row in rows]


def _manifest(row: Mapping[str, Any]) -> Manifest:
    record: dict[str, Any] = row["record"]
    maps = {name: dict(record[name] or ()) for name in ("datasets", "schema_ids")}
    return {**record, **maps, "kafka_timestamp": row["kafka_timestamp"]}


def recovery(
    places: Places,
    query: str,
    shadow: Location,
    known: list[Manifest],
    *,
    scratch: Path,
    archive: Archive | None,
    topic: str,
    first: Mapping[int, int],
) -> Recovery:
    """Recover the rows that the shadow of a bronze table lacks.

    Args:
        known: the result of `manifests`.
        scratch: folder on this machine for the recovered rows; it is made.
        archive: None uses none, so that all missing rows are lost.
        topic: of the table.
        first: partition → the oldest offset that Kafka holds.
    """
    if not any(first.values()):
        return Recovery(None, 0, ())  # retention has removed nothing yet
    [contract] = [each for each in load_all().values() if f"bronze.{bronze_table(each)}" == query]
    lake = Lake(location(places.lake))
    lake.connection.register("shadow", Snapshot(query, shadow).dataset())
    if contract.external or (not contract.is_dataset and contract.name not in (REJECTS, WITHDRAWALS)):
        return Recovery(None, 0, tuple(_without_manifests(lake, first)))
    lacking = _lacking(lake, contract, known, first)
    if not lacking:
        return Recovery(None, 0, ())
    if archive is None:
        return Recovery(None, 0, tuple(Lost(name, rows, "the archive was not used") for name, rows in lacking.items()))
    maker = Republished(
        archive, sources.load, _contracts(places), _newest_ids(places), _withdrawn(lake), erased=_erased(lake)
    )
    of_sources = {each["source"] for each in known if each["chunk_id"] in lacking}
    again = maker.chunks([each for each in known if each["source"] in of_sources], frozenset(lacking))
    lost: list[Lost] = []
    scratch.mkdir(parents=True, exist_ok=True)
    candidates = scratch / "candidates.parquet"
    with pq.ParquetWriter(candidates, _CANDIDATES) as writer:
        for table in _candidates(again, contract, lacking, lost):
            writer.write_table(table)
    rows = _only_missing(lake, candidates, scratch / "recovered.parquet", topic)
    return Recovery(scratch / "recovered.parquet" if rows else None, rows, tuple(lost))


def _without_manifests(lake: Lake, first: Mapping[int, int]) -> Iterator[Lost]:
    """For a topic without manifests: the partitions whose beginning is neither in Kafka nor in the live table."""
    held = {row["partition"] for row in lake.rows("SELECT DISTINCT partition FROM shadow")}
    for partition, offset in first.items():
        below = lake.value('SELECT count(*) FROM shadow WHERE partition = ? AND "offset" < ?', [partition, offset])
        if offset and (partition not in held or not below):
            yield Lost(None, None, f"partition {partition} before offset {offset}: no payload has them")


def _lacking(lake: Lake, contract: Contract, known: Iterable[Manifest], first: Mapping[int, int]) -> dict[str, int]:
    """Chunk → rows that its manifest counts and the shadow does not hold, of chunks that retention may have taken."""
    # The copy of a quarantined row repeats that row.
    counted = "count(DISTINCT (record.row_number, key))" if contract.is_dataset else "count(*)"
    found = lake.rows(
        f"SELECT record.chunk_id AS chunk_id, {counted} AS n FROM shadow WHERE decode_status = 'ok' GROUP BY 1"
    )
    held = {str(row["chunk_id"]): int(str(row["n"])) for row in found}
    until, erased = _retained_since(lake, first), erasures.by_chunk(lake)
    lacking = {}
    for each in known:
        published = each["rows_rejected"] if contract.name == REJECTS else each["datasets"].get(contract.name, 0)
        gone = erased.get(each["chunk_id"], Gone())
        published -= gone.rejects if contract.name == REJECTS else gone.counts.get(contract.name, 0)
        rows = published - held.get(each["chunk_id"], 0)
        if rows > 0 and (until is None or each["kafka_timestamp"] <= until):
            lacking[each["chunk_id"]] = rows
    return lacking


def _retained_since(lake: Lake, first: Mapping[int, int]) -> datetime | None:
    """Time after which Kafka holds all chunks completely, whether or not their rows decode; None if unknown."""
    at = [
        lake.value('SELECT min(kafka_timestamp) FROM shadow WHERE partition = ? AND "offset" >= ?', [partition, offset])
        for partition, offset in first.items()
    ]
    known = [each for each in at if isinstance(each, datetime)]
    return max(known) + TRANSACTION_SPAN if len(known) == len(first) else None


def _candidates(
    again: Iterable[RepublishedChunk], contract: Contract, lacking: Mapping[str, int], lost: list[Lost]
) -> Iterator[pa.Table]:
    """The records of each chunk that could be rebuilt; for the others the reason is added to `lost`."""
    number = 0
    for each in again:
        chunk_id = each.manifest["chunk_id"]
        if each.problem is not None:
            lost.append(Lost(chunk_id, lacking[chunk_id], each.problem))
            continue
        messages = each.messages.get(contract.name, ())
        hashes = [value_hash(value) for _, value in messages]
        yield pa.table(
            {
                "number": range(number, number + len(messages)),
                "timestamp": [each.manifest["kafka_timestamp"]] * len(messages),
                "key": [key for key, _ in messages],
                "value": [value for _, value in messages],
                "value_hash": [found - MODULUS if found >= MODULUS // 2 else found for found in hashes],
            },
            schema=_CANDIDATES,
        )
        number += len(messages)


def _only_missing(lake: Lake, candidates: Path, target: Path, topic: str) -> int:
    """Write the records that the shadow does not hold, decoded or not, in the form of Kafka's records; returns how
    many."""
    begin = lake.value(
        'SELECT coalesce(max("offset") + 1, ?) FROM shadow WHERE topic_id = ?', [FIRST_OF_ARCHIVE, FROM_ARCHIVE]
    )
    lake.connection.execute(
        f"""
        COPY (
            SELECT '{topic}' AS topic, {NO_PARTITION}::INTEGER AS partition,
                   {begin} - 1 + row_number() OVER (ORDER BY c.number) AS "offset", c.timestamp, c.key, c.value
            FROM read_parquet('{candidates}') c ANTI JOIN shadow s ON s.key = c.key AND s.value_hash = c.value_hash
        ) TO '{target}' (FORMAT parquet)"""
    )
    return int(pq.read_metadata(target).num_rows)


def _withdrawn(lake: Lake) -> dict[str, tuple[int, int]]:
    """Chunk → the withdrawals that bronze has of it, and the sum of their hashes."""
    if not lake.has("bronze.ingest_withdrawals"):
        return {}
    rows = lake.sql(
        "SELECT record.chunk_id AS chunk_id, key, value_hash FROM bronze.ingest_withdrawals WHERE decode_status = 'ok'"
    ).combine_chunks()
    if not rows.num_rows:
        return {}
    hashes = row_hashes(rows["key"].combine_chunks(), rows["value_hash"].combine_chunks()).to_pylist()
    found: dict[str, tuple[int, int]] = {}
    for chunk_id, each in zip(rows["chunk_id"].to_pylist(), hashes, strict=True):
        count, total = found.get(chunk_id, (0, 0))
        found[chunk_id] = (count + 1, total + each)
    return found


def _erased(lake: Lake) -> dict[str, Erased]:
    """Chunk → what was erased of it."""
    return {
        chunk_id: Erased(
            rows=sum(n for name, n in gone.counts.items() if name != WITHDRAWALS),
            rejects=gone.rejects,
            withdrawals=gone.counts.get(WITHDRAWALS, 0),
            row_hash=gone.row_hash,
        )
        for chunk_id, gone in erasures.by_chunk(lake).items()
    }


def _contracts(places: Places) -> Any:
    texts = {row.schema_id: row.schema for row in schemas_table.stored(places.table(SCHEMAS))}

    def contract_of(name: str, schema_id: int) -> Contract:
        text = texts.get(schema_id)
        return load(name) if text is None else replace(load(name), schema=json.loads(text))

    return contract_of


def _newest_ids(places: Places) -> dict[str, int]:
    """The newest ids of the bookkeeping contracts: a manifest does not name the schema of its rejects."""
    newest: dict[str, tuple[int, int]] = {}
    for row in schemas_table.stored(places.table(SCHEMAS)):
        for name in (REJECTS, WITHDRAWALS, MANIFESTS):
            if row.subject is not None and row.subject.endswith(load(name).subject):
                newest[name] = max(newest.get(name, (0, 0)), (row.version or 0, row.schema_id))
    return {name: schema_id for name, (_, schema_id) in newest.items()}
