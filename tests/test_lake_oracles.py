"""Each oracle of the lake finds nothing in correct data and names damage: tiny Delta tables, no Kafka, no JVM."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests import lake_oracles, oracles, silver_oracles

DATASET = "bcb_sgs"
CHUNK = "chunk-1"
MORNING = datetime(2025, 11, 10, tzinfo=UTC)
Rows = list[dict[str, Any]]


def record(offset: int, *, month: int, value: str, hours: int = 0) -> dict[str, Any]:
    """A bronze row of one month's value."""
    at = MORNING + timedelta(hours=hours)
    said = {
        "series_code": 433,
        "reference_on": date(2024, month, 1),
        "reference_end_on": None,
        "value": value,
        "published_at": at,
        "published_at_basis": "source",
        "retrieved_at": at,
        "chunk_id": CHUNK,
        "row_number": offset,
    }
    return {
        "topic_id": "topic",
        "partition": 0,
        "offset": offset,
        "decode_status": "ok",
        "record": said,
        "value": b"bytes",
    }


def version(row: dict[str, Any]) -> dict[str, Any]:
    """A bronze row as silver has it."""
    said = row["record"]
    kept = {name: said[name] for name in ("series_code", "reference_on", "reference_end_on", "value")}
    return kept | {"known_from": said["published_at"], "kafka_partition": 0, "kafka_offset": row["offset"]}


@pytest.fixture
def bronze() -> Rows:
    """January, its repetition, its correction, and February."""
    return [
        record(0, month=1, value="0.42"),
        record(1, month=1, value="0.42", hours=1),
        record(2, month=1, value="0.43", hours=2),
        record(3, month=2, value="0.83"),
    ]


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, Rows], None]:
    """Write a table of the lake, in place of what was there."""

    def write(name: str, rows: Rows) -> None:
        layer, _, own = name.partition(".")
        write_deltalake(tmp_path / layer / own, pa.Table.from_pylist(rows), mode="overwrite", schema_mode="overwrite")

    return write


@pytest.fixture
def lake(tmp_path: Path, put: Callable[[str, Rows], None], bronze: Rows) -> Path:
    """A correct lake: four records of one chunk, three versions, two keys."""
    put(f"bronze.{DATASET}", bronze)
    put("bronze.ingest_manifests", [manifest(rows=4)])
    put(f"silver.{DATASET}_revisions", [version(bronze[each]) for each in (0, 2, 3)])
    put(f"silver.{DATASET}", [version(bronze[each]) for each in (2, 3)])
    return tmp_path


def manifest(*, rows: int) -> dict[str, Any]:
    """A bronze row of the chunk's manifest."""
    said = {"chunk_id": CHUNK, "rows_rejected": 0, "datasets": [{"name": DATASET, "rows": rows}]}
    counted = pa.array([[(DATASET, rows)]], pa.map_(pa.string(), pa.int64()))
    said["datasets"] = dict(counted[0].as_py())
    return {"topic_id": "manifests", "partition": 0, "offset": 0, "record": said}


# O1


def test_o1_accepts_exactly_the_offsets_and_names_missing_and_extra_ones(lake, monkeypatch):
    committed = {("topic", 0, offset) for offset in range(4)}
    monkeypatch.setattr(lake_oracles, "committed", lambda *_: committed)
    assert lake_oracles.coverage("", "", lake, [DATASET]) == []
    committed |= {("topic", 0, 9)}
    assert lake_oracles.coverage("", "", lake, [DATASET]) == [f"bronze.{DATASET} lacks 1 records: 0/9"]
    committed -= {("topic", 0, 9), ("topic", 0, 3)}
    assert lake_oracles.coverage("", "", lake, [DATASET]) == [
        f"bronze.{DATASET} holds what Kafka does not: 1 records: 0/3"
    ]


def test_o1_takes_the_same_offsets_of_a_topic_made_anew_for_others(lake, monkeypatch):
    monkeypatch.setattr(lake_oracles, "committed", lambda *_: {("anew", 0, offset) for offset in range(4)})
    assert len(lake_oracles.coverage("", "", lake, [DATASET])) == 2


# O2


def test_o2_finds_an_acknowledged_chunk_that_is_missing_or_short(lake, tmp_path, monkeypatch):
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(json.dumps({"chunk_id": CHUNK, "rows": 4}) + '\n{"chunk_id": "cut off')
    kafka = [SimpleNamespace(fields={"chunk_id": CHUNK})]
    monkeypatch.setattr(oracles, "read", lambda *_: kafka)
    assert lake_oracles.ledger_covered(ledger, "", "", lake, [DATASET]) == []
    ledger.write_text("".join(json.dumps({"chunk_id": each, "rows": 5}) + "\n" for each in (CHUNK, "gone")))
    assert lake_oracles.ledger_covered(ledger, "", "", lake, [DATASET]) == [
        "chunk chunk-1: 5 rows were acknowledged, bronze holds 4",
        "chunk gone was acknowledged and is not in Kafka",
        "chunk gone was acknowledged and is not in bronze",
        "chunk gone: 5 rows were acknowledged, bronze holds 0",
    ]


# O3


def test_o3_finds_a_batch_written_twice_and_a_row_produced_twice(lake, put, bronze):
    assert lake_oracles.doubled(lake, [DATASET]) == []
    put(f"bronze.{DATASET}", [*bronze, bronze[1]])
    assert len(lake_oracles.doubled(lake, [DATASET])) == 2
    produced_twice = bronze[1] | {"offset": 77}
    put(f"bronze.{DATASET}", [*bronze, produced_twice])
    (said,) = lake_oracles.doubled(lake, [DATASET])
    assert "row of a payload ('chunk-1', 1) stands 2 times" in said


# O4


def test_o4_finds_a_key_twice_and_a_survivor_that_is_not_the_newest(lake, put, bronze):
    assert silver_oracles.silver_keys(lake, DATASET) == []
    put(f"silver.{DATASET}", [version(bronze[each]) for each in (2, 3, 3)])
    assert "stands 2 times" in silver_oracles.silver_keys(lake, DATASET)[0]
    put(f"silver.{DATASET}", [version(bronze[each]) for each in (0, 3)])
    assert "is not the newest of its revisions" in silver_oracles.silver_keys(lake, DATASET)[0]


# O5


def test_o5_finds_half_a_chunk_and_rows_without_a_manifest(lake, put, bronze):
    assert lake_oracles.chunks_whole(lake, [DATASET]) == []
    put(f"bronze.{DATASET}", bronze[:2])
    assert len(lake_oracles.chunks_whole(lake, [DATASET])) == 1
    stray = bronze[0] | {"offset": 8, "record": bronze[0]["record"] | {"chunk_id": "stray"}}
    put(f"bronze.{DATASET}", [*bronze, stray])
    assert lake_oracles.chunks_whole(lake, [DATASET]) == ["chunk stray has rows and no manifest"]


# O6


def test_o6_names_the_key_whose_versions_are_not_what_bronze_gives(lake, put, bronze):
    assert silver_oracles.silver_follows(lake, DATASET) == []
    put(f"silver.{DATASET}_revisions", [version(bronze[each]) for each in (0, 3)])
    (said,) = silver_oracles.silver_follows(lake, DATASET)
    assert "2024, 1, 1" in said


def test_o6_ignores_the_order_and_finds_a_repeated_version(lake, put, bronze):
    put(f"silver.{DATASET}_revisions", [version(bronze[each]) for each in (3, 2, 0)])
    assert silver_oracles.silver_follows(lake, DATASET) == []
    put(f"silver.{DATASET}_revisions", [version(bronze[each]) for each in (3, 2, 1, 0)])
    assert len(silver_oracles.silver_follows(lake, DATASET)) == 1


def test_o4_and_o6_know_that_a_withdrawn_key_is_gone_though_its_versions_are_there(lake, put, bronze):
    """Its offset is that of a record: the two stand in two topics."""
    clock = bronze[3]["record"]["retrieved_at"] + timedelta(days=900)
    told = {"dataset": DATASET, "key_fields": {"series_code": "433", "reference_on": "2024-01-01"}}
    record = told | {"published_at": clock, "retrieved_at": clock}
    put("bronze.ingest_withdrawals", [{"partition": 0, "offset": 2, "decode_status": "ok", "record": record}])
    assert len(silver_oracles.silver_follows(lake, DATASET)) == 1

    gone = version(bronze[0]) | {"value": None, "known_from": clock, "kafka_offset": 2}
    kept = [version(bronze[each]) | {"is_withdrawn": False} for each in (0, 2, 3)]
    put(f"silver.{DATASET}_revisions", [*kept, gone | {"is_withdrawn": True}])
    assert silver_oracles.silver_follows(lake, DATASET) == []
    assert "is not the newest of its revisions" in silver_oracles.silver_keys(lake, DATASET)[0]
    put(f"silver.{DATASET}", [version(bronze[3])])
    assert silver_oracles.silver_keys(lake, DATASET) == []
    assert silver_oracles.conserved(lake, DATASET) == []


# O9


def test_o9_finds_a_record_that_became_nothing_and_one_that_became_two_things(lake, put, bronze):
    assert silver_oracles.conserved(lake, DATASET) == []
    put(f"silver.{DATASET}_revisions", [version(bronze[each]) for each in (0, 3)])
    assert silver_oracles.conserved(lake, DATASET) == [
        f"{DATASET} (0, 2) is neither a version, nor repeats one, nor in quarantine"
    ]
    aside = [{"dataset": DATASET, "kafka_partition": 0, "kafka_offset": each} for each in (2, 3, 55)]
    put("silver.quarantine", aside)
    assert silver_oracles.conserved(lake, DATASET) == [
        f"{DATASET} (0, 3) is a version and in quarantine too",
        f"quarantine: {DATASET} (0, 55) is no decoded record of bronze",
    ]


def test_o9_finds_bytes_that_did_not_decode_and_were_not_kept(lake, put, bronze):
    poison = bronze[0] | {"offset": 5, "decode_status": "corrupt", "record": None}
    put(f"bronze.{DATASET}", [*bronze, poison])
    assert silver_oracles.conserved(lake, DATASET) == []
    put(f"bronze.{DATASET}", [*bronze, poison | {"value": None}])
    assert "lost its bytes" in silver_oracles.conserved(lake, DATASET)[0]
