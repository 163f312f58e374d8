"""Each record of `ops.erasures` explains one missing record, and no other missing one."""

from datetime import timedelta

import pyarrow as pa
from deltalake import write_deltalake

from foundation.rowhash import MODULUS
from monitoring.proof.checks import conservation, erasures, manifests, offsets
from monitoring.proof.checks.row_hashes import row_hashes
from tests.monitoring.kit import BEGIN, TOPIC_ID, found
from tests.monitoring.proof.test_manifest_redrives import LATER, close, copied, undecodable

DATASET = "bcb_sgs"
_SCHEMA = pa.schema([
    ("dataset", pa.string()), ("topic", pa.string()), ("topic_id", pa.string()), ("partition", pa.int32()),
    ("offset", pa.int64()), ("kafka_timestamp", pa.timestamp("us", "UTC")), ("chunk_id", pa.string()),
    ("is_counted", pa.bool_()), ("row_hash", pa.int64()),
])  # fmt: skip


def signed_hash(row):
    [number] = row_hashes(pa.array([row["key"]], pa.binary()), pa.array([row["value_hash"]], pa.int64())).to_pylist()
    return number - MODULUS if number >= MODULUS // 2 else number


def note(kit, *rows, contract=DATASET, is_counted=True):
    """Rows of bronze as `erase` notes them."""
    noted = [
        {"dataset": contract, "topic": f"{contract}.v1", "topic_id": TOPIC_ID, "partition": 0, "offset": row["offset"],
         "kafka_timestamp": row["kafka_timestamp"], "is_counted": is_counted, "row_hash": signed_hash(row),
         "chunk_id": row["record"]["chunk_id"] if row["decode_status"] == "ok" else None}
        for row in rows
    ]  # fmt: skip
    write_deltalake(str(kit.path("ops.erasures")), pa.Table.from_pylist(noted, _SCHEMA), mode="append")


def take_out(kit, *rows):
    gone = [row["offset"] for row in rows]
    kit.write_bronze(DATASET, [row for row in kit.bronze[DATASET] if row["offset"] not in gone])


def problems(kit) -> list[str]:
    """The oracle: the checks that count records."""
    evidence = kit.evidence()
    return [
        *found(manifests.check, evidence),
        *found(offsets.check, evidence, kit.cluster),
        *found(conservation.check, evidence),
    ]


def test_control_an_erased_record_is_accounted_for_and_one_that_was_lost_is_not(kit, tmp_path, control):
    first, second = kit.bronze[DATASET][:2]
    lost = kit.copy_to(tmp_path / "lost")
    take_out(kit, first)
    note(kit, first)
    control.holds(problems, kit)

    take_out(lost, first)
    control.objects(
        problems, lost, damage=("1 committed records are not in bronze", "have other rows than their manifest")
    )
    note(lost, second)  # of another record
    control.objects(problems, lost, damage=("1 committed records are not in bronze", "hold no committed record"))


def test_control_an_erasure_that_was_noted_and_not_ended_is_found(kit, control):
    first = kit.bronze[DATASET][0]
    control.holds(problems, kit)
    note(kit, first)
    control.objects(problems, kit, damage="offsets in bronze hold no committed record")


def test_another_hash_than_that_of_the_erased_record_is_found(kit):
    first = kit.bronze[DATASET][0]
    take_out(kit, first)
    note(kit, first | {"value_hash": first["value_hash"] + 1})
    assert any("hash to something else" in each for each in problems(kit))


def test_a_record_that_never_decoded_is_what_its_chunk_lacks(kit):
    whole = undecodable(kit)
    original = kit.bronze[DATASET][3]
    take_out(kit, original)
    note(kit, original)
    assert original["record"] is None
    assert found(manifests.check, kit.evidence()) == []
    assert whole["record"]["chunk_id"]


def test_a_redriven_dead_letter_and_its_copy_are_erased_together(kit):
    original = kit.bronze[DATASET][3]
    copy = copied(kit, original)
    close(kit, original, copy=copy)
    assert found(manifests.check, kit.evidence()) == []
    take_out(kit, original, copy)
    note(kit, original)
    note(kit, copy, is_counted=False)
    assert found(manifests.check, kit.evidence()) == []
    assert [each for each in found(conservation.check, kit.evidence()) if "redrives" in each] == []
    assert timedelta(days=20) == LATER - BEGIN


def test_a_lake_that_nothing_was_erased_from_has_nothing_to_account_for(kit):
    lake = kit.evidence().lake
    assert erasures.by_chunk(lake) == {}
    assert erasures.undecoded(lake) == []
    assert erasures.places(lake, "partition", DATASET) == ""
