"""The part `lake`: tables, dead letters, losses and periods, read again only where a version is new."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from foundation.errors import UnsafeState
from monitoring.lag.canary import CanaryArrival
from monitoring.lake import Lake
from monitoring.reading import dead_letters
from monitoring.watch import lake as watched
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.dead_letters import OpenDeadLetters
from monitoring.watch.expected import Expected
from monitoring.watch.lake import LakePart
from monitoring.watch.parts import PartlyKnown
from storage import delta
from tests.controls import differs
from tests.monitoring.kit import TOPIC_ID

DATASETS = {"bcb_sgs": "bronze.bcb_sgs", "inmet_hourly": "bronze.inmet_hourly"}
SGS = Expected("bcb_sgs", "silver.bcb_sgs", "reference_on", "month", timedelta(0), ("series_code", 433))
HOURS = Expected("inmet_hourly", "silver.inmet_hourly", "observed_at", "day", timedelta(0))


def part_of(kit, *expected):
    return LakePart(kit.lake, Checkpoints(kit.checkpoints), {}, DATASETS, expected)


def test_a_table_is_shown_as_its_log_has_it(kit):
    found = part_of(kit).look().tables["bronze.bcb_sgs"]
    table = DeltaTable(str(kit.path("bronze.bcb_sgs")))
    files = [Path(uri.removeprefix("file://")) for uri in table.file_uris()]
    assert sorted(found.paths) == sorted(files)
    assert (found.bytes, found.version) == (sum(file.stat().st_size for file in files), table.version())
    assert found.newest_at == max(table.to_pyarrow_table()["kafka_timestamp"].to_pylist()).timestamp()


def test_a_table_is_opened_again_only_at_a_new_version(kit, monkeypatch):
    part = part_of(kit, SGS)
    part.look()
    opened = []

    class Noted(DeltaTable):
        def __init__(self, path, **more):
            opened.append(path)
            super().__init__(path, **more)

    monkeypatch.setattr(delta, "DeltaTable", Noted)
    part.look()
    assert opened == []
    kit.append("bronze.bcb_sgs", kit.rows("bronze.bcb_sgs", '"offset" < 4'))
    opened.clear()  # the kit opens tables, too
    after = part.look()
    assert opened == [str(kit.path("bronze.bcb_sgs"))]
    assert after.tables["bronze.bcb_sgs"].version == 1


def disagreement(kit, counts):
    """How these counts and the view that `dead-letters list` reads differ."""
    lake = Lake(kit.lake)
    dead_letters.register(lake)
    rows = lake.rows(f"SELECT dataset, count(*) AS letters FROM {dead_letters.VIEW} WHERE state = 'open' GROUP BY 1")
    expected = {row["dataset"]: row["letters"] for row in rows if row["dataset"] in DATASETS}
    return differs({name: count for name, count in counts.items() if count}, expected)


def damage(kit):
    """Two records that did not decode beside the one that is set aside, and the closing of one."""
    for row in kit.bronze["bcb_sgs"][2:4]:
        row |= {"decode_status": "corrupt", "record": None}
    kit.write_bronze("bcb_sgs", kit.bronze["bcb_sgs"])
    kit.append_framed("ingest.redrives", b"k", {
        "dataset": "bcb_sgs", "topic_id": TOPIC_ID, "partition": 0, "offset": 3, "action": "discarded",
        "closed_at": datetime(2026, 11, 20, tzinfo=UTC),
    }, datetime(2026, 11, 20, tzinfo=UTC))  # fmt: skip
    kit.write_bronze("ingest.redrives", kit.bronze["ingest.redrives"])


def test_open_dead_letters_are_those_of_the_view(kit):
    part = part_of(kit)
    before = part.look().open_dead_letters
    assert disagreement(kit, before) == []
    damage(kit)
    after = part.look().open_dead_letters
    assert disagreement(kit, after) == []
    assert after["bcb_sgs"] == before["bcb_sgs"] + 1


def test_control_without_the_closings_a_closed_dead_letter_counts_as_open(kit, control, monkeypatch):
    damage(kit)
    control.holds(disagreement, kit, part_of(kit).look().open_dead_letters)
    count = OpenDeadLetters.count
    monkeypatch.setattr(OpenDeadLetters, "count", lambda self, bronze, aside, closed: count(self, bronze, aside, ()))
    control.objects(disagreement, kit, part_of(kit).look().open_dead_letters, damage="'bcb_sgs': ")


def test_lost_offsets_are_those_of_ops_gaps(kit):
    part = part_of(kit)
    assert part.look().lost == {}
    rows = [{"topic": "bcb_sgs.v1", "from_offset": 5, "until_offset": 9}] * 2
    write_deltalake(str(kit.path("ops.gaps")), pa.Table.from_pylist(rows))
    assert part.look().lost == {"bcb_sgs.v1": 8}


def test_the_newest_period_of_a_sequence_and_of_a_table(kit):
    found = part_of(kit, SGS, HOURS).look().newest
    newest = Lake(kit.lake).value("SELECT max(reference_on) FROM silver.bcb_sgs WHERE series_code = 433")
    assert (found[SGS], isinstance(found[SGS], date)) == (newest, True)
    assert found[HOURS] == Lake(kit.lake).value("SELECT max(observed_at) FROM silver.inmet_hourly")


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_shown(kit):
    log = kit.path("gold.fact_economic_observation") / "_delta_log"
    (log / f"{1:020}.json").write_text("no json")
    with pytest.raises(PartlyKnown, match=r"gold\.fact_economic_observation cannot be read") as raised:
        part_of(kit).look()
    assert "bronze.bcb_sgs" in raised.value.known.tables
    assert "gold.fact_economic_observation" not in raised.value.known.tables


def test_a_lake_that_is_not_there_yet_is_empty_and_one_that_is_gone_is_an_error(kit, tmp_path):
    part = part_of(kit)
    part.root = tmp_path / "none"
    assert part.look().tables == {}
    part.root = kit.lake
    part.look()
    kit.lake.rename(tmp_path / "moved")
    with pytest.raises(UnsafeState, match="is gone"):
        part.look()


def test_looking_writes_nothing(kit):
    def files():
        return {each: each.stat().st_mtime_ns for each in kit.lake.parent.rglob("*")}

    before = files()
    part_of(kit, SGS, HOURS).look()
    assert files() == before


def test_each_canary_is_counted_once_and_none_at_the_first_look(kit, monkeypatch):
    seen = {}
    monkeypatch.setattr(watched.canary, "newest", lambda root: dict(seen))
    part, told = part_of(kit), []
    part.on_canary = lambda stage, seconds: told.append((stage, seconds))
    seen["bronze"] = CanaryArrival(1, 100.0, 102.0)
    part.look()
    part.look()
    assert told == []
    seen["bronze"] = CanaryArrival(2, 160.0, 161.5)
    part.look()
    assert part.look().canary == seen
    assert told == [("bronze", 1.5)]
