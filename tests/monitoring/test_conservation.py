"""O9: every record read is decoded or set aside, every decoded row is in silver or set aside; the others are named."""

from monitoring.checks import conservation
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
