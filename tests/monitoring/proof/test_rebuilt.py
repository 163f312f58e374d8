"""A rebuilt table is compared with verify's definitions and with the live table: differences are named, lag is not."""

import json

import pytest
from deltalake import DeltaTable

from monitoring.proof import rebuilt
from monitoring.proof.rebuilt import Subject
from schemas.contracts import load, load_all
from tests.monitoring.kit import REFERENCE, RULES

DATASET = "bcb_sgs"
SILVER, REVISIONS, GOLD = f"silver.{DATASET}", f"silver.{DATASET}_revisions", "gold.fact_economic_observation"
KEY = load(DATASET).key
KEYS = {
    REVISIONS: (*KEY, "known_from"),
    SILVER: KEY,
    "silver.quarantine": ("topic_id", "topic", "kafka_partition", "kafka_offset", "chunk_id"),
    GOLD: ("series_code", "reference_on"),
}


@pytest.fixture
def shadow(intact, tmp_path):
    """The same tables once more."""
    return intact.copy_to(tmp_path / "shadow")


def subject(kit, shadow, query=SILVER):
    names = [GOLD] if query == GOLD else [REVISIONS, SILVER, "silver.quarantine"]
    return Subject(
        query=query,
        lake=kit.lake,
        checkpoints=kit.checkpoints,
        shadow={name: shadow.path(name) for name in names},
        shadow_checkpoints=shadow.checkpoints,
        keys=KEYS,
        contracts=load_all(),
        rules=RULES,
        reference=REFERENCE,
    )


def said(kit, shadow, query=SILVER):
    """What differs, in lines."""
    return [
        f"{found.where}: {found.what} {list(found.examples)}"
        for each in rebuilt.compared(subject(kit, shadow, query))
        for found in each.differences
    ]


def broken(kit, shadow, query=SILVER):
    return [f"{found.where}: {found.what}" for found in rebuilt.wrong(subject(kit, shadow, query))]


@pytest.mark.parametrize("query", [SILVER, GOLD])
def test_the_same_content_is_equal_by_rows_and_hash_and_as_verify_says(kit, shadow, query):
    every = rebuilt.compared(subject(kit, shadow, query))
    assert [each.differences for each in every] == [()] * len(every)
    assert all(each.live == each.rebuilt for each in every)
    assert every[0].live.rows > 0
    assert broken(kit, shadow, query) == []


def test_control_keys_of_one_side_and_changed_values_are_counted_and_named(kit, shadow, control):
    control.holds(said, kit, shadow)
    number = len(kit.rows(SILVER, "true"))
    shadow.change(SILVER, value="value + 1")
    shadow.delete(REVISIONS, "true")
    control.objects(
        said,
        kit,
        shadow,
        damage=("silver.bcb_sgs_revisions: ", "rows stand only in the live table", "values of value differ"),
    )
    assert f"{SILVER}: {number} values of value differ" in " ".join(said(kit, shadow))


def test_control_a_rebuilt_table_that_is_not_what_verify_says_is_wrong_whatever_the_live_one_is(kit, shadow, control):
    control.holds(broken, kit, shadow)
    for each in (kit, shadow):
        each.delete(REVISIONS, "true")
    control.objects(broken, kit, shadow, damage="rows of the batch over bronze are missing or different")
    assert said(kit, shadow)[:1] == [], "both are the same"


def test_control_of_gold_a_value_that_differs_is_named_and_the_last_digits_of_a_fraction_are_not(kit, shadow, control):
    shadow.change(GOLD, value="value * 1.0000000001")
    control.holds(said, kit, shadow, GOLD)
    shadow.change(GOLD, value="value * 2")
    control.objects(said, kit, shadow, GOLD, damage="values of value differ")
    assert broken(kit, shadow, GOLD) == [f"{GOLD}: {len(kit.rows(GOLD, 'true'))} values of value differ"]


def stand(root, query, bronze, version):
    """A checkpoint whose only batch ended at the beginning of a version of bronze."""
    folder = root / query
    for log in ("offsets", "commits"):
        (folder / "g0" / log).mkdir(parents=True)
    (folder / "guard.json").write_text(json.dumps({"generation": 0}))
    offset = {
        "reservoirId": DeltaTable(str(bronze)).metadata().id, "reservoirVersion": version, "index": -1,
        "isStartingVersion": False,
    }  # fmt: skip
    (folder / "g0" / "offsets" / "0").write_text("v1\n{}\n" + json.dumps(offset))
    (folder / "g0" / "commits" / "0").write_text("v1\n{}")


def test_rows_that_one_side_has_not_read_yet_are_no_difference(kit, shadow):
    """The live query has read a row of bronze that the shadow has not; its key is left out of both sides."""
    bronze = kit.path(f"bronze.{DATASET}")
    end = DeltaTable(str(bronze)).version() + 1
    newest = max(kit.rows(REVISIONS, "true").to_pylist(), key=lambda row: row["kafka_offset"])
    place = f"kafka_offset = {newest['kafka_offset']}"
    for table in (REVISIONS, SILVER):
        shadow.delete(table, place)
    stand(kit.checkpoints, SILVER, bronze, end)
    stand(shadow.checkpoints, SILVER, bronze, end)
    assert "rows stand only in the live table" in " ".join(said(kit, shadow))

    last = kit.rows(f"bronze.{DATASET}", f'"offset" = {newest["kafka_offset"]}')
    kit.delete(f"bronze.{DATASET}", f'"offset" = {newest["kafka_offset"]}')
    kit.append(f"bronze.{DATASET}", last)
    appended = DeltaTable(str(bronze)).version()
    for each in (kit, shadow):
        (each.checkpoints / SILVER / "g0" / "offsets" / "0").unlink()
    for each, version in ((kit, appended + 1), (shadow, appended)):
        text = {"reservoirId": DeltaTable(str(bronze)).metadata().id, "reservoirVersion": version, "index": -1}
        (each.checkpoints / SILVER / "g0" / "offsets" / "0").write_text("v1\n{}\n" + json.dumps(text))
    assert said(kit, shadow) == []
