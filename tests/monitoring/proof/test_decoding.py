"""The sample of decoded rows: every column of every contract is compared with the record's own bytes in Kafka."""

from copy import deepcopy
from datetime import timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from foundation.rowhash import value_hash
from monitoring.lag.kafka import Bounds
from monitoring.proof.checks import decoding, offsets
from schemas.arrow import arrow_schema
from schemas.contracts import datasets, load
from tests.monitoring.kit import BEGIN, SCHEMA_IDS, WRITERS, Kit, found
from tests.monitoring.proof.test_every_dataset import other
from tests.samples import sample


def change_rows(kit, dataset, change):
    """Put what `change` makes of a row into bronze in its place."""
    path = str(kit.path(f"bronze.{dataset}"))
    held = DeltaTable(path).to_pyarrow_table()
    rows = held.to_pylist()
    for row in rows:
        change(row)
    write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")


def retained_from(kit, dataset, first):
    """The kit's evidence, of which retention has taken what is before an offset of one topic."""
    evidence = kit.evidence()
    bounds = evidence.topics[dataset].topic.partitions
    bounds[0] = Bounds(first, bounds[0].stable)
    return evidence


@pytest.mark.parametrize("dataset", sorted(datasets()))
def test_a_changed_value_of_any_column_is_found_and_named(dataset, tmp_path):
    kit, contract = Kit(tmp_path), load(dataset)
    kit.publish(dataset, *(sample(contract, number) for number in range(1, 4)))
    kit.write_bronze(dataset, kit.bronze[dataset])
    kit.write_schemas({SCHEMA_IDS[dataset]: WRITERS[dataset]})
    assert decoding.check(kit.evidence(), kit.cluster).rows == 3
    assert found(decoding.check, kit.evidence(), kit.cluster) == []
    path = str(kit.path(f"bronze.{dataset}"))
    held = DeltaTable(path).to_pyarrow_table()
    for field in arrow_schema(contract):
        if field.name == "published_at":
            continue  # null in all of them
        rows = held.to_pylist()
        for row in rows:
            if row["record"][field.name] is not None:
                row["record"][field.name] = other(row["record"][field.name], field.type)
        write_deltalake(path, pa.Table.from_pylist(rows, held.schema), mode="overwrite")
        (what,) = found(decoding.check, kit.evidence(), kit.cluster)
        assert what.endswith(f" sampled rows differ from their record in {field.name}")


@pytest.mark.parametrize(
    ("column", "wrong", "what"),
    [
        ("key", b"432|2024-03-06", "have another key than their record"),
        ("kafka_timestamp", BEGIN + timedelta(milliseconds=1), "have another timestamp than their record"),
        ("schema_id", 99, "name another schema than their record"),
    ],
)
def test_a_wrong_coordinate_is_found(kit, column, wrong, what):
    change_rows(kit, "bcb_sgs", lambda row: row.update({column: wrong} if row["offset"] == 4 else {}))
    (finding,) = decoding.check(kit.evidence(), kit.cluster).findings
    assert (finding.where, finding.what) == ("bronze.bcb_sgs", f"1 sampled rows {what}")
    assert finding.examples[0].startswith("bcb_sgs.v1/0 offset 4: ")


def test_control_a_column_that_was_decoded_wrongly_is_found_by_this_check_alone(kit, control):
    """What a wrong decoder would have written: the bytes, their hash and the manifest agree with one another."""

    def unseen() -> list[str]:
        is_seen = any(check(kit.evidence(), kit.cluster).findings for check in checks)
        return [] if is_seen else ["a column that is not what the record says is not seen"]

    change_rows(kit, "inmet_hourly", lambda row: row["record"].update(wind_speed_m_s=4.0))
    checks = [offsets.check, decoding.check]
    control.holds(unseen)
    checks.remove(decoding.check)
    control.objects(unseen, damage="is not what the record says is not seen")


def test_bytes_that_fastavro_does_not_read_are_no_decoded_row(kit):
    row, message = kit.bronze["inmet_stations"][0], kit.messages["inmet_stations.v1"][0]
    cut = message.value()[:20]
    kit.messages["inmet_stations.v1"][0]._value = cut
    change_rows(kit, "inmet_stations", lambda each: each.update(value_hash=_signed(cut)))
    assert row["decode_status"] == "ok"
    (what,) = found(decoding.check, kit.evidence(), kit.cluster)
    assert what == "bronze.inmet_stations: 1 sampled rows count as decoded and fastavro does not read them"


def _signed(value):
    hashed = value_hash(value)
    return hashed - (1 << 64) if hashed >> 63 else hashed


def test_a_null_of_a_row_that_keeps_its_bytes_is_what_the_reader_of_then_did_not_have(kit):
    """The column is younger than the row; without its bytes, the row has lost a value."""
    change_rows(kit, "inmet_stations", lambda row: row.update(value=b"x") or row["record"].update(station_code=None))
    assert found(decoding.check, kit.evidence(), kit.cluster) == []
    change_rows(kit, "inmet_stations", lambda row: row.update(value=None))
    assert found(decoding.check, kit.evidence(), kit.cluster) == [
        "bronze.inmet_stations: 1 sampled rows differ from their record in station_code"
    ]


def test_a_field_that_the_writer_did_not_have_is_the_reader_s_default_or_null(tmp_path, monkeypatch):
    kit, older = Kit(tmp_path), deepcopy(WRITERS["inmet_stations"])
    older["fields"] = [field for field in older["fields"] if field["name"] != "altitude_m"]
    monkeypatch.setitem(WRITERS, "inmet_stations", older)
    kit.publish("inmet_stations", sample(load("inmet_stations"), 1, altitude_m=None))
    kit.write_bronze("inmet_stations", kit.bronze["inmet_stations"])
    kit.write_schemas({SCHEMA_IDS["inmet_stations"]: older})
    assert found(decoding.check, kit.evidence(), kit.cluster) == []
    change_rows(kit, "inmet_stations", lambda row: row["record"].update(altitude_m=83.0))
    assert found(decoding.check, kit.evidence(), kit.cluster) == [
        "bronze.inmet_stations: 1 sampled rows differ from their record in altitude_m"
    ]


def test_what_retention_took_is_not_compared_and_a_topic_of_which_nothing_was_says_so(kit):
    whole = decoding.check(kit.evidence(), kit.cluster)
    some = decoding.check(retained_from(kit, "bcb_sgs", 5), kit.cluster)
    assert (whole.notes, some.notes, whole.rows - some.rows) == ([], [], 4)
    none = decoding.check(retained_from(kit, "bcb_sgs", 10_000), kit.cluster)
    assert none.notes == ["bcb_sgs.v1: of 55 decoded rows no record is retained any more"]
    assert (none.findings, whole.rows - none.rows) == ([], 55)


def test_a_schema_that_the_lake_does_not_have_leaves_its_rows_unchecked_and_is_noted(kit):
    kit.write_schemas({number: WRITERS[name] for name, number in SCHEMA_IDS.items() if name != "bcb_sgs"})
    outcome = decoding.check(kit.evidence(), kit.cluster)
    assert (outcome.findings, outcome.notes) == (
        [], [f"ops.schemas does not have schema {SCHEMA_IDS['bcb_sgs']}: 55 sampled rows written under it"],
    )  # fmt: skip


def test_the_sample_of_a_long_topic_is_bounded_and_spread_and_the_same_each_time(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("bcb_sgs", *(sample(load("bcb_sgs"), number) for number in range(2000)))
    kit.write_bronze("bcb_sgs", kit.bronze["bcb_sgs"])
    kit.write_schemas({SCHEMA_IDS["bcb_sgs"]: WRITERS["bcb_sgs"]})
    asked = []

    def read_at(places):
        asked.append({where: list(each) for where, each in places.items()})
        return type(cluster).read_at(cluster, places)

    cluster = kit.cluster
    cluster.read_at = read_at
    for _ in range(2):
        assert decoding.SAMPLE / 2 < decoding.check(kit.evidence(), cluster).rows <= decoding.SAMPLE
    taken = asked[0]["bcb_sgs.v1", 0]
    ends = max(each.offset() for each in kit.messages["bcb_sgs.v1"])
    assert asked[0] == asked[1]
    assert (taken[0], len({offset * decoding.RUNS // (ends + 1) for offset in taken})) == (0, decoding.RUNS)
