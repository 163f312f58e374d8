"""O9: every record is decoded or kept as undecodable, every decoded row is in silver or quarantine; others are
named."""

import pyarrow as pa
from deltalake import write_deltalake

from monitoring import quarantine
from monitoring.proof.checks import conservation
from monitoring.proof.checks.silver import check_batch
from tests.monitoring.kit import found

DATASET = "bcb_sgs"


def findings(kit):
    return found(conservation.check, kit.evidence())


def test_a_right_lake_is_accounted_for_and_its_rows_are_counted(kit):
    outcome = conservation.check(kit.evidence())
    assert outcome.findings == []
    assert outcome.rows == sum(len(rows) for rows in kit.bronze.values())


def test_a_status_that_nobody_knows_is_found(kit):
    kit.bronze[DATASET][3]["decode_status"] = "lost in thought"
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    assert f"bronze.{DATASET}: 1 rows have a decode status that nobody knows" in findings(kit)


def test_a_record_that_did_not_decode_must_have_its_bytes(kit):
    kit.bronze[DATASET][3] |= {"decode_status": "corrupt", "record": None}
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    assert f"bronze.{DATASET}: 1 rows did not decode and have lost their bytes" in findings(kit)


def test_a_decoded_row_without_its_record_is_found(kit):
    kit.bronze[DATASET][3]["record"] = None
    kit.write_bronze(DATASET, kit.bronze[DATASET])
    assert f"bronze.{DATASET}: 1 rows count as decoded and hold no record" in findings(kit)


def test_a_key_that_silver_lost_is_found(kit):
    kit.delete(f"silver.{DATASET}_revisions", "series_code = 432")
    [found] = findings(kit)
    assert found.endswith("decoded rows are neither in revisions nor in quarantine")


def test_a_row_that_was_set_aside_and_then_lost_is_found(kit):
    kit.delete("silver.quarantine", "true")
    assert any("neither in revisions nor in quarantine" in each for each in findings(kit))


def unseen(kit):
    """Whether a set-aside row is missed that quarantine does not hold: the entry there is of the topic before."""
    is_seen = any("neither in revisions nor in quarantine" in each for each in findings(kit))
    return [] if is_seen else ["a row that is nowhere in silver is not missed"]


def test_control_by_the_place_alone_an_entry_of_the_old_topic_hides_a_lost_row_of_the_new(kit, monkeypatch, control):
    kit.change("silver.quarantine", topic_id="'topic-0'", where=f"dataset = '{DATASET}'")
    control.holds(unseen, kit)
    assert any("rows of the batch over bronze are missing" in each for each in found(check_batch, kit.evidence()))
    monkeypatch.setattr(quarantine, "is_of", by_place_alone)
    control.objects(unseen, kit, damage="is not missed")


def by_place_alone(entry, partition, offset, *, topic_id, chunk_id):
    return f"({entry}.kafka_partition = {partition} AND {entry}.kafka_offset = {offset})"


def test_entries_of_an_older_release_are_identified_by_their_chunk(kit):
    """The table lacks the column, or the column is null."""
    entries = kit.rows("silver.quarantine", "true")
    for older in (entries.drop_columns(["topic_id"]), entries.set_column(
        entries.column_names.index("topic_id"), "topic_id", pa.nulls(entries.num_rows, pa.string())
    )):  # fmt: skip
        path = str(kit.path("silver.quarantine"))
        write_deltalake(path, older, mode="overwrite", schema_mode="overwrite", partition_by=["dataset"])
        assert (findings(kit), found(check_batch, kit.evidence())) == ([], [])
    kit.change("silver.quarantine", chunk_id="'chunk-of-the-topic-before'")
    assert any("neither in revisions nor in quarantine" in each for each in findings(kit))
