"""The records of Kafka that are erased from bronze, as `ops.erasures` tells them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from correnteza.erasing.key import BRONZE_OF, Key
from foundation.rowhash import MODULUS
from monitoring.lake import Lake
from monitoring.proof.checks.row_hashes import row_hashes
from monitoring.undecodable import UNDECODABLE
from producers.chunk import REJECTS
from sinks import tables
from sinks.erasing import held
from sinks.ops.erasures import Erased
from sinks.snapshot import FILE, Snapshot
from storage.location import location
from stream_jobs.places import Places

_PLACE = ("topic", "topic_id", "partition", "offset", "kafka_timestamp")
_COLUMNS = (*_PLACE, "key", "value_hash", "decode_status", "record", "value")
_CLOSINGS = "bronze.ingest_redrives"


@dataclass(frozen=True)
class Erasure:
    """One run of `erase`.

    Attributes:
        name: tells it from others.
        at: UTC. by: who.
    """

    name: str
    at: datetime
    by: str
    note: str


def records(places: Places, key: Key, erasure: Erasure) -> list[Erased]:
    """All of them that bronze holds."""
    lake = Lake(location(places.lake))
    copies, replaced = _of_dead_letters(lake, key.contract.name)
    found = []
    contracts = {f"bronze.{key.contract.name}": key.contract.name, **{table: name for name, table in BRONZE_OF.items()}}
    for table, contract in contracts.items():
        for row, row_hash in _rows(places.table(table), key, table):
            decoded = row["decode_status"] == "ok"
            place = (row["partition"], row["offset"])
            is_second = place in copies if decoded else (row["topic_id"], *place) in replaced
            found.append(
                Erased(
                    erasure=erasure.name,
                    dataset=contract,
                    topic=row["topic"],
                    topic_id=row["topic_id"],
                    partition=row["partition"],
                    offset=row["offset"],
                    kafka_timestamp=row["kafka_timestamp"],
                    chunk_id=row["record"]["chunk_id"] if decoded else None,
                    is_counted=not (contract == key.contract.name and is_second),
                    row_hash=0 if contract == REJECTS else row_hash,
                    erased_at=erasure.at,
                    erased_by=erasure.by,
                    note=erasure.note,
                )
            )
    return found


def _rows(path: str, key: Key, table: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Each row of bronze that is of the key, and its hash, signed."""
    if not tables.exists(path):
        return
    matching = key.tables[table]
    for name in held(path, matching).live:
        for batch in Snapshot.of(path).scan(_COLUMNS, files=[name]):
            rows = pa.Table.from_batches([batch]).drop_columns(FILE)
            rows = rows.filter(matching.of(rows)).combine_chunks()
            if not rows.num_rows:
                continue
            keys, values = (rows[name].combine_chunks() for name in ("key", "value_hash"))
            hashes = row_hashes(keys.cast(pa.binary()), pc.fill_null(values, 0)).to_pylist()
            for row, row_hash in zip(rows.to_pylist(), hashes, strict=True):
                yield row, row_hash - MODULUS if row_hash >= MODULUS // 2 else row_hash


def _of_dead_letters(lake: Lake, dataset: str) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Places of copies that no manifest counts, and of undecoded originals whose copy is counted in their stead."""
    copies: set[tuple[Any, ...]] = set()
    replaced: set[tuple[Any, ...]] = set()
    if not lake.has(_CLOSINGS):
        return copies, replaced
    for row in lake.rows(
        f"SELECT unnest(record) FROM {_CLOSINGS} WHERE decode_status = 'ok' AND record.dataset = ?"
        " AND record.action = 'redriven'",
        [dataset],
    ):
        if row["reason"] in UNDECODABLE:
            replaced.add((row["topic_id"], row["partition"], row["offset"]))
        else:
            copies.add((row["new_partition"], row["new_offset"]))
    return copies, replaced
