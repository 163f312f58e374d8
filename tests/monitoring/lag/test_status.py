"""Status is correct from files and Kafka only: checkpoints, Delta logs, bounds. No Spark runs in these tests."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable, Transaction

from foundation.errors import DependencyUnavailable
from monitoring.lag import delta_log, spark_checkpoints
from monitoring.lag.delta_log import unread
from monitoring.lag.kafka import Bounds, Topic
from monitoring.lag.spark_checkpoints import DeltaPosition
from monitoring.lag.status import Places, Saving, Storage, as_json, status
from monitoring.proof.checks import gold, manifests, offsets, silver
from monitoring.proof.verify import Subject, gather
from schemas.contracts import CANARY_TABLE, load_all
from sinks.ops import canary
from tests.monitoring.kit import BEGIN, REFERENCE, TOPIC_ID, found, hour, small_lake, value, write_checkpoint

SGS = "p.bcb_sgs.v1"


class Broker:
    """A cluster with one topic of ten offsets."""

    def __init__(self, oldest=None):
        self.oldest = oldest
        self.asked = {}

    def topics(self, names):
        return {SGS: Topic(SGS, TOPIC_ID, {0: Bounds(2, 10)})} if SGS in names else {}

    def oldest_timestamps(self, positions, _seconds):
        self.asked = positions
        return dict.fromkeys(positions, self.oldest)


@pytest.fixture
def kit(tmp_path):
    return small_lake(tmp_path)


def lines(kit, broker):
    return {f"{each.layer}.{each.table}": each for each in told(kit, lambda: broker).lines}


def told(kit, connect):
    places = Places(kit.lake, kit.checkpoints, "p.", {"fact_economic_observation": ("bcb_sgs",)})
    return status(places, connect, load_all().values(), now=BEGIN.timestamp() + 100)


def at_end(kit, table):
    """A Delta source offset after everything in a table."""
    path = str(kit.path(table))
    return {"sourceVersion": 1, "reservoirId": DeltaTable(path).metadata().id,
            "reservoirVersion": DeltaTable(path).version() + 1, "index": -1, "isStartingVersion": False}  # fmt: skip


def test_a_query_that_never_started_is_behind_by_all_that_is_retained(kit):
    broker = Broker(oldest=BEGIN.timestamp())
    line = lines(kit, broker)["bronze.bcb_sgs"]
    assert (line.state, line.records_behind, line.seconds_behind) == ("not_started", 8, 100)
    assert broker.asked == {(SGS, 0): 2}


def test_bronze_is_behind_by_what_its_newest_committed_batch_left(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}], planned=5)
    broker = Broker(oldest=BEGIN.timestamp() + 90)
    line = lines(kit, broker)["bronze.bcb_sgs"]
    assert (line.state, line.records_behind, line.seconds_behind, line.committed_batch) == ("behind", 3, 10, 4)
    assert line.newest_event_at == BEGIN


def test_bronze_at_the_last_stable_offset_is_not_behind(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 10}}])
    line = lines(kit, Broker())["bronze.bcb_sgs"]
    assert (line.state, line.records_behind, line.seconds_behind) == ("ok", 0, 0)


def test_markers_alone_have_no_age(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=0, sources=[{SGS: {"0": 9}}])
    line = lines(kit, Broker(oldest=None))["bronze.bcb_sgs"]
    assert (line.records_behind, line.seconds_behind) == (1, 0)


def test_a_recreated_topic_is_shown(kit):
    write_checkpoint(
        kit.checkpoints, "bronze.bcb_sgs", batch=0, sources=[{SGS: {"0": 10}}], guard={"topic_id": "another"}
    )
    assert lines(kit, Broker())["bronze.bcb_sgs"].state == "topic_replaced"


def test_an_adopted_checkpoint_begins_at_the_offsets_of_its_guard(kit):
    guard = {"starting_offsets": json.dumps({SGS: {"0": 6}})}
    (kit.checkpoints / "bronze.bcb_sgs" / "g3").mkdir(parents=True)
    (kit.checkpoints / "bronze.bcb_sgs" / "guard.json").write_text(json.dumps({"generation": 3, **guard}))
    progress = spark_checkpoints.read(kit.checkpoints, "bronze.bcb_sgs")
    assert (progress.generation, progress.committed_batch, progress.kafka) == (3, None, {(SGS, 0): 6})
    assert lines(kit, Broker())["bronze.bcb_sgs"].records_behind == 4


def test_silver_and_gold_are_behind_by_the_rows_of_unread_versions(kit):
    write_checkpoint(kit.checkpoints, "silver.bcb_sgs", batch=1, sources=[at_end(kit, "bronze.bcb_sgs")])
    query = "gold.fact_economic_observation"
    write_checkpoint(kit.checkpoints, query, batch=1, sources=[at_end(kit, "silver.bcb_sgs_revisions")])
    before = lines(kit, Broker())
    assert [before[name].records_behind for name in ("silver.bcb_sgs", query)] == [0, 0]
    kit.append("bronze.bcb_sgs", kit.rows("bronze.bcb_sgs", '"offset" < 4'))
    kit.append("silver.bcb_sgs_revisions", kit.rows("silver.bcb_sgs_revisions", "series_code = 432"))
    after = lines(kit, Broker())
    assert [after[name].records_behind for name in ("silver.bcb_sgs", query)] == [3, 1]
    assert after["silver.bcb_sgs"].state == "behind"
    assert after["silver.bcb_sgs"].seconds_behind == pytest.approx(100)


def test_a_version_read_in_part_leaves_its_other_files(kit):
    path = kit.path("bronze.bcb_sgs")
    version = DeltaTable(str(path)).version()
    whole = delta_log.unread(path, DeltaPosition("id", version, 0, is_snapshot=False))
    part = delta_log.unread(path, DeltaPosition("id", version, 1, is_snapshot=False))
    assert (whole.records, part.records) == (55, 0)


def write_stop_note(kit, query, **found):
    word = {"state": "stopped", "reason": "a rule is broken", "hint": "mend it", "at": "-", "generation": 0}
    (kit.checkpoints / query / "standing.json").write_text(json.dumps(word | {"committed_batch": 4} | found))


def test_a_stopped_query_is_shown_with_its_reason_until_it_commits_again(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    write_stop_note(kit, "bronze.bcb_sgs")
    line = lines(kit, Broker())["bronze.bcb_sgs"]
    assert (line.state, line.reason, line.hint, line.records_behind) == ("stopped", "a rule is broken", "mend it", 3)

    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=5, sources=[{SGS: {"0": 10}}])
    assert lines(kit, Broker())["bronze.bcb_sgs"].state == "ok"


@pytest.mark.parametrize("lost", ["all of it", "the guard"])
def test_a_query_whose_checkpoint_is_lost_is_shown_with_the_refusal(kit, lost):
    folder = kit.checkpoints / "bronze.bcb_sgs"
    if lost == "the guard":
        write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
        (folder / "guard.json").unlink()
    folder.mkdir(parents=True, exist_ok=True)
    write_stop_note(kit, "bronze.bcb_sgs", generation=None, committed_batch=None)
    line = lines(kit, Broker())["bronze.bcb_sgs"]
    assert (line.state, line.reason, line.hint) == ("stopped", "a rule is broken", "mend it")

    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    assert lines(kit, Broker())["bronze.bcb_sgs"].state == "behind"


def test_the_json_document_has_this_form(kit):
    found = as_json(replace(told(kit, Broker), tables=[STORED]), at=BEGIN.timestamp())
    assert (found["schema"], found["at"]) == (6, "2026-11-20T12:00:00.000Z")
    saving = {"small_files": 8, "into": 1, "free_bytes": 5_000, "held_back_by": ["silver.bcb_sgs"]}
    taken = {"table": "bronze.bcb_sgs", "files": 9, "bytes": 10_000, "log_files": 20}
    assert found["tables"] == [taken | {"saving": saving}]
    unplanned = as_json(replace(told(kit, Broker), tables=[replace(STORED, saving=None)]), at=0)
    assert unplanned["tables"] == [taken | {"saving": None}]
    assert {"layer": "bronze", "table": "inmet_hourly", "source": "p.inmet_hourly.v1", "state": "not_started",
            "records_behind": None, "seconds_behind": None, "newest_event_at": "2026-11-20T13:00:00.000Z",
            "committed_batch": None, "reason": None, "hint": None} in found["layers"]  # fmt: skip
    assert {each["layer"] for each in found["layers"]} == {"bronze", "silver", "gold"}
    assert (list(found), found["unreachable"]) == (["schema", "at", "layers", "canary", "unreachable", "tables"], [])


def test_what_a_table_takes_is_what_lies_in_its_folder(kit):
    kit.append("bronze.bcb_sgs", kit.rows("bronze.bcb_sgs", '"offset" < 4'))
    stored = told(kit, Broker).tables
    assert [each.table for each in stored][:1] == ["bronze.anatel_base_stations"]
    assert list(dict.fromkeys(each.table.partition(".")[0] for each in stored)) == ["bronze", "silver", "gold", "ops"]
    (sgs,) = (each for each in stored if each.table == "bronze.bcb_sgs")
    files = list(kit.path("bronze.bcb_sgs").rglob("*.parquet"))
    log = list((kit.path("bronze.bcb_sgs") / "_delta_log").glob("*.json"))
    assert (sgs.files, sgs.bytes, sgs.log_files) == (len(files), sum(file.stat().st_size for file in files), len(log))


def test_the_canary_is_shown_separately_with_its_age_its_latency_and_why_its_query_is_stopped(kit):
    sent = BEGIN.timestamp()
    path = str(kit.lake / "silver" / CANARY_TABLE)
    canary.ensure(None, path)  # creating one needs no Spark
    canary.append(path, canary.SentCanary("canary", int(sent * 1e6), 0), once=Transaction("silver", 0))
    write_checkpoint(kit.checkpoints, f"gold.{CANARY_TABLE}", batch=4, sources=[at_end(kit, "bronze.bcb_sgs")])
    write_stop_note(kit, f"gold.{CANARY_TABLE}")

    found = told(kit, away)
    assert not [line for line in found.lines if line.table == CANARY_TABLE]
    stages = as_json(found, at=sent + 100)["canary"]
    assert stages["silver"].pop("took_seconds") >= 0
    assert stages["silver"] == {"newest_at": "2026-11-20T12:00:00.000Z", "seconds": 100.0, "reason": None, "hint": None}
    assert stages["bronze"]["newest_at"] is None
    assert stages["gold"]["reason"] == "a rule is broken"


STORED = Storage("bronze.bcb_sgs", 9, 10_000, 20, Saving(8, 1, 5_000, ["silver.bcb_sgs"]))
SNAPSHOT = Path(__file__).parent / "status.json"


def document(kit, connect):
    """The whole of `status --json`, without what the test's own clock says."""
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    found = as_json(replace(told(kit, connect), tables=[STORED]), at=BEGIN.timestamp())
    for line in found["layers"]:
        if line["layer"] != "bronze":
            line["seconds_behind"] = None  # by the clock of the commit, which is the test's
    return found


def test_the_json_of_a_small_lake_without_kafka_is_this_document(kit):
    """Whole: when it changes on purpose, `schema` may have to, and this file does."""
    assert document(kit, away) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_with_kafka_only_kafkas_values_are_added_to_the_json(kit):
    expected = json.loads(SNAPSHOT.read_text(encoding="utf-8")) | {"unreachable": []}
    line = next(each for each in expected["layers"] if each["source"] == SGS)
    line |= {"state": "behind", "records_behind": 3, "seconds_behind": 10.0}
    assert document(kit, lambda: Broker(oldest=BEGIN.timestamp() + 90)) == expected


def away():
    raise DependencyUnavailable("http://u:canary-1a@broker does not answer", hint="correnteza up")


def test_without_kafka_all_values_but_those_of_kafka_are_shown(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    write_checkpoint(kit.checkpoints, "silver.bcb_sgs", batch=1, sources=[at_end(kit, "bronze.bcb_sgs")])
    there, found = lines(kit, Broker()), told(kit, away)
    without = {f"{each.layer}.{each.table}": each for each in found.lines}
    assert list(without) == list(there)
    for name, line in without.items():
        if line.layer != "bronze":
            assert line == there[name]
    line = without["bronze.bcb_sgs"]
    assert (line.state, line.records_behind, line.seconds_behind) == ("unknown", None, None)
    assert line.newest_event_at == there["bronze.bcb_sgs"].newest_event_at
    assert line.committed_batch == 4
    assert without["bronze.inmet_hourly"].state == "not_started"
    assert without["silver.bcb_sgs"].state == "ok"
    assert as_json(found, at=0)["unreachable"] == [
        {"service": "kafka", "reason": "http://***@broker does not answer", "hint": "correnteza up"}
    ]


def test_a_stopped_query_is_shown_as_such_without_kafka(kit):
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    write_stop_note(kit, "bronze.bcb_sgs")
    states = {f"{each.layer}.{each.table}": each.state for each in told(kit, away).lines}
    assert states["bronze.bcb_sgs"] == "stopped"


# What is behind is not wrong: the checks leave out what the checkpoints do not cover.


def progress_of(kit, query):
    return {query: spark_checkpoints.read(kit.checkpoints, query)}


def publish_to_bronze_only(kit):
    """Silver and gold stay as they are."""
    write_checkpoint(kit.checkpoints, "silver.inmet_hourly", batch=1, sources=[at_end(kit, "bronze.inmet_hourly")])
    before = len(kit.bronze["inmet_hourly"])
    kit.publish("inmet_hourly", hour(BEGIN, 10.0), kafka_at=BEGIN + timedelta(hours=2))
    kit.write_bronze("inmet_hourly", kit.bronze["inmet_hourly"][before:], mode="append")


def test_control_records_that_silver_has_not_read_are_not_missing_from_it_and_once_read_they_are(kit, control):
    """The checkpoint says which: lagging, or past them."""

    def missing() -> list[str]:
        return found(silver.check_batch, kit.evidence(progress=progress_of(kit, "silver.inmet_hourly")))

    publish_to_bronze_only(kit)
    control.holds(missing)
    write_checkpoint(kit.checkpoints, "silver.inmet_hourly", batch=2, sources=[at_end(kit, "bronze.inmet_hourly")])
    control.objects(missing, damage="rows of the batch over bronze are missing")


def test_a_batch_between_its_two_silver_writes_is_not_a_difference(kit):
    """Revisions are written first: current lags by a batch that the checkpoint does not cover."""
    publish_to_bronze_only(kit)
    current = kit.rows("silver.inmet_hourly", "true")
    kit.write_silver("inmet_hourly")
    kit.delete("silver.inmet_hourly", "true")
    kit.append("silver.inmet_hourly", current)
    in_flight = kit.evidence(progress=progress_of(kit, "silver.inmet_hourly"))
    assert (silver.check_keys(in_flight).findings, silver.check_batch(in_flight).findings) == ([], [])
    assert silver.check_keys(kit.evidence()).findings


def test_control_gold_rows_that_unread_revisions_may_change_are_left_out_and_without_the_lag_they_differ(kit, control):
    query = "gold.fact_economic_observation"
    write_checkpoint(kit.checkpoints, query, batch=1, sources=[at_end(kit, "silver.bcb_sgs_revisions")])
    revised = kit.versions("bcb_sgs")[0][0] | {"value": 9, "kafka_offset": 999}
    kit.append_revisions("bcb_sgs", [revised])
    check = gold.checks()[f"{query} = batch(silver)"]

    lagging = kit.evidence(progress=progress_of(kit, query))
    assert (check(lagging).rows, len(check(lagging).notes)) == (53, 1)
    control.holds(found, check, lagging)
    control.objects(found, check, kit.evidence(), damage="gold.fact_economic_observation: 1 values of value differ")


def test_a_lagging_manifest_topic_excuses_rows_without_a_manifest(kit):
    kit.delete("bronze.ingest_manifests", "record['chunk_id'] = 'chunk-3'")
    unread = {"ingest.manifests": BEGIN.timestamp()}
    assert manifests.check(kit.evidence(oldest_unread_at=unread)).findings == []
    assert manifests.check(kit.evidence()).findings


class FullTopic(Broker):
    """The kit's own records as a topic, with nothing older than now."""

    def __init__(self, kit):
        super().__init__(oldest=BEGIN.timestamp())
        self.messages = kit.messages

    def topics(self, names):
        names = set(names)
        return {
            topic: Topic(topic, TOPIC_ID, {0: Bounds(0, messages[-1].offset() + 1)})
            for topic, messages in self.messages.items()
            if topic in names
        }


def test_without_a_checkpoint_the_lag_of_bronze_is_computed_from_its_rows(kit):
    """A lost checkpoint must not turn every missing row into lag: a gap below the newest row held is a loss."""
    subject = Subject(kit.lake, kit.checkpoints, REFERENCE, "", {})
    whole = gather(subject, FullTopic(kit), load_all(), since=None)
    assert offsets.check(whole, kit.cluster).findings == []
    kit.delete("bronze.bcb_sgs", '"offset" = 4')
    broken = gather(subject, FullTopic(kit), load_all(), since=None)
    (finding,) = offsets.check(broken, kit.cluster).findings
    assert finding.examples == ("offsets 4",)


def test_published_values_reach_the_kit(kit):
    """The kit's own bronze has as many records as its topics."""
    kit.publish("bcb_sgs", value(432, BEGIN.date(), "15"))
    assert len(kit.bronze["bcb_sgs"]) == len(kit.messages["bcb_sgs.v1"]) == 56


def test_a_commit_that_removes_rows_adds_nothing_to_read(kit):
    """What a deletion writes again are the rows that it left; gold's streams skip it."""
    table = "silver.bcb_sgs_revisions"
    path = kit.path(table)
    position = DeltaPosition("any", DeltaTable(str(path)).version() + 1, 0, is_snapshot=False)
    gone = kit.rows(table, "series_code = 432")

    kit.delete(table, "series_code = 432")
    assert unread(path, position).records == 0

    kit.append(table, gone)
    assert unread(path, position).records == gone.num_rows == 1
