"""Manifests with dead letters in their chunks: copies are counted once, and discarded records give a note and no
loss."""

import random
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
import xxhash
from deltalake import write_deltalake

from foundation.rowhash import SPARK_SEED
from monitoring.proof.checks import manifests
from monitoring.proof.checks.row_hashes import row_hashes
from tests.monitoring.kit import BEGIN, TOPIC_ID

DATASET = "bcb_sgs"
LATER = BEGIN + timedelta(days=20)


def close(kit, original, *, action="redriven", reason="value_below_100", copy=None, at=LATER):
    """A closing record in bronze."""
    record = pa.struct([
        ("dataset", pa.string()), ("topic_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()),
        ("action", pa.string()), ("reason", pa.string()), ("new_partition", pa.int32()), ("new_offset", pa.int64()),
    ])  # fmt: skip
    schema = pa.schema([
        ("topic_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()),
        ("kafka_timestamp", pa.timestamp("us", "UTC")), ("decode_status", pa.string()), ("record", record),
        ("value", pa.binary()),
    ])  # fmt: skip
    closing = {
        "dataset": DATASET, "topic_id": TOPIC_ID, "partition": 0, "offset": original["offset"], "action": action,
        "reason": reason, "new_partition": None if copy is None else 0,
        "new_offset": None if copy is None else copy["offset"],
    }  # fmt: skip
    row = {"topic_id": TOPIC_ID, "partition": 0, "offset": 0, "kafka_timestamp": at, "decode_status": "ok"}
    table = pa.Table.from_pylist([row | {"record": closing}], schema)
    write_deltalake(str(kit.path("bronze.ingest_redrives")), table, mode="append")


def copied(kit, original):
    """The record published again, at the end of its topic, much later."""
    kit.append_record(DATASET, original["key"], b"", original["record"], LATER)
    copy = kit.bronze[DATASET][-1]
    copy["value_hash"] = original["value_hash"]  # the same bytes
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    return copy


def undecodable(kit, number=3):
    """A record of chunk-4 that bronze could not decode."""
    original = kit.bronze[DATASET][number]
    whole = dict(original)
    original["decode_status"], original["record"] = "unknown_schema", None
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    return whole


def lose(kit, offset):
    kit.write_bronze(DATASET, [row for row in kit.bronze[DATASET] if row["offset"] != offset])


def check(kit, **options):
    outcome = manifests.check(kit.evidence(**options))
    return [(each.what, each.examples) for each in outcome.findings], outcome.notes


def findings(kit, **options) -> list[str]:
    """The same in the form of an oracle."""
    return [f"{what}: {', '.join(examples)}" for what, examples in check(kit, **options)[0]]


def test_hashes_of_columns_are_those_of_their_rows():
    choose = random.Random(7)
    keys = [None if n % 7 == 0 else choose.randbytes(n % 50) for n in range(500)]
    values = [choose.getrandbits(64) for _ in keys]
    seeds = [SPARK_SEED if key is None else xxhash.xxh64_intdigest(key, SPARK_SEED) for key in keys]
    expected = [
        xxhash.xxh64_intdigest(value.to_bytes(8, "little"), seed) for value, seed in zip(values, seeds, strict=True)
    ]
    signed = pa.array([value - (1 << 64) if value >> 63 else value for value in values], pa.int64())
    assert row_hashes(pa.array(keys, pa.binary()), signed).to_pylist() == expected


@pytest.mark.parametrize("since", [None, LATER - timedelta(hours=1)], ids=["full", "window"])
def test_the_copy_of_a_quarantined_record_is_not_counted_again(kit, since):
    original = kit.bronze[DATASET][-1]  # breaks the rule; decoded and counted
    close(kit, original, copy=copied(kit, original))
    assert check(kit, since=since) == ([], [])


@pytest.mark.parametrize("since", [None, LATER - timedelta(hours=1)], ids=["full", "window"])
def test_control_without_its_closing_record_the_copy_is_a_row_too_many(kit, since, control):
    control.holds(findings, kit, since=since)
    copied(kit, kit.bronze[DATASET][-1])
    control.objects(findings, kit, since=since, damage="chunk chunk-7: 1 counted, 2 held")


def test_a_copy_whose_closing_record_is_still_unread_is_not_checked(kit):
    copied(kit, kit.bronze[DATASET][-1])
    evidence = kit.evidence()
    unread = replace(evidence.topics[DATASET], oldest_unread_at=LATER.timestamp())
    outcome = manifests.check(replace(evidence, topics=evidence.topics | {"ingest.redrives": unread}))
    assert (outcome.findings, len(outcome.notes)) == ([], 1)
    assert "ingest.redrives" in outcome.notes[0]


@pytest.mark.parametrize("since", [None, LATER - timedelta(hours=1)], ids=["full", "window"])
def test_the_copy_of_a_record_that_did_not_decode_counts_in_its_chunk(kit, since):
    original = undecodable(kit)
    close(kit, original, reason="unknown_schema", copy=copied(kit, original))
    assert check(kit, since=since) == ([], [])


def test_control_a_window_that_knows_no_older_manifests_takes_the_copy_for_a_row_without_one(kit, monkeypatch, control):
    original = undecodable(kit)
    close(kit, original, reason="unknown_schema", copy=copied(kit, original))
    since = LATER - timedelta(hours=1)
    control.holds(findings, kit, since=since)
    monkeypatch.setattr(manifests, "_older", lambda *_: [])
    control.objects(findings, kit, since=since, damage="1 rows of 1 chunk(s) without a manifest: chunk chunk-4")


def test_a_chunk_touched_by_a_redrive_is_checked_whole_in_a_window(kit):
    original = undecodable(kit)
    close(kit, original, reason="unknown_schema", copy=copied(kit, original))
    lose(kit, 6)  # an old row of the same chunk, outside the window
    assert check(kit, since=LATER - timedelta(hours=1))[0] == [
        ("1 chunk(s) have other rows than their manifest counts", ("chunk chunk-4: 41 counted, 40 held",))
    ]


def test_a_discarded_record_that_never_decoded_is_a_note(kit):
    original = undecodable(kit)
    close(kit, original, action="discarded", reason="unknown_schema")
    findings, notes = check(kit)
    place = f"bcb_sgs.v1/0/{original['offset']}"
    assert (findings, notes) == ([], [f"chunk chunk-4: {place} does not decode and is discarded"])


def test_control_an_open_record_that_does_not_decode_is_missing_from_its_chunk(kit, control):
    control.holds(findings, kit)
    undecodable(kit)
    control.objects(findings, kit, damage="chunk chunk-4: 41 counted, 40 held")


def test_control_a_discarded_record_explains_no_other_loss(kit, control):
    """The hash tells which record is missing: another one's closing record does not explain it."""
    original = undecodable(kit)
    close(kit, original, action="discarded", reason="unknown_schema")
    control.holds(findings, kit)
    lose(kit, 6)
    control.objects(findings, kit, damage="chunk chunk-4: 41 counted, 39 held")


def test_control_a_discarded_record_with_other_bytes_explains_nothing(kit, control):
    original = undecodable(kit)
    close(kit, original, action="discarded", reason="unknown_schema")
    control.holds(findings, kit)
    kit.bronze[DATASET][3]["value_hash"] = 7
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    control.objects(findings, kit, damage="chunk chunk-4: 41 counted, 40 held")
