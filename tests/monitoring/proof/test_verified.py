"""A run after a successful one checks only newer data; what it cannot find, and when it checks everything again."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitoring.lag.kafka import Bounds, Topic
from monitoring.lake import Lake
from monitoring.proof import verified
from monitoring.proof.verify import Subject, verify_since_last
from schemas.contracts import load_all
from tests.monitoring.kit import BEGIN, REFERENCE, RULES, TOPIC_ID, FakeCluster, hour

RUNS_AT = BEGIN + timedelta(days=30)
LATER = RUNS_AT + timedelta(hours=1)
LOST = ["1 chunk(s) have other rows than their manifest counts"]


class WholeCluster(FakeCluster):
    """The kit's records as topics of a cluster; it records from where it was read."""

    def __init__(self, messages):
        super().__init__(messages)
        self.read_from = {}

    def topics(self, names):
        wanted = set(names)
        return {
            topic: Topic(topic, TOPIC_ID, {0: Bounds(0, messages[-1].offset() + 2)})
            for topic, messages in self.messages.items()
            if topic in wanted and messages
        }

    def oldest_timestamps(self, positions, _seconds):
        return dict.fromkeys(positions)

    def offsets_at(self, topic, _epoch_seconds):
        return {partition: bounds.stable for partition, bounds in topic.partitions.items()}

    def read(self, topic, partition, start, end):
        self.read_from[topic] = start
        return super().read(topic, partition, start, end)


@pytest.fixture
def left(tmp_path):
    return tmp_path / "verify" / "verified.json"


def run(kit, left, *, full=False, cluster=None):
    subject = Subject(kit.lake, kit.checkpoints, REFERENCE, "", RULES)
    return verify_since_last(subject, cluster or WholeCluster(kit.messages), load_all(), left=left, full=full)


@pytest.fixture(scope="module")
def mark(intact, tmp_path_factory):
    """What a run over the intact lake leaves behind; every copy of that lake has the same tables and versions."""
    left = tmp_path_factory.mktemp("mark") / "verified.json"
    assert run(intact, left).holds
    return json.loads(left.read_text())


@pytest.fixture
def held(mark, left):
    """A run held at `RUNS_AT`, an instant of the kit's own clock."""
    left.parent.mkdir()
    left.write_text(json.dumps(mark | {"until": RUNS_AT.isoformat()}))


def findings(report):
    return {each.check: [found.what for found in each.outcome.findings] for each in report.verdicts if not each.holds}


def hour_comes(kit, *, at=LATER, spoilt=False, **fields):
    """A chunk of one new hour, appended to bronze and to both silver tables as the queries do it."""
    before = {name: len(kit.bronze[name]) for name in ("inmet_hourly", "ingest.manifests")}
    kit.publish("inmet_hourly", hour(datetime(2024, 3, 9, 15, tzinfo=UTC), 21.0, **fields), kafka_at=at)
    for name, count in before.items():
        kit.write_bronze(name, kit.bronze[name][count:], mode="append")
    revision = kit.versions("inmet_hourly")[0][-1]
    kit.append_revisions("inmet_hourly", [revision | ({"rain_mm": 9.0} if spoilt else {})])
    current = kit.rows("silver.inmet_hourly_revisions", "observed_at >= TIMESTAMPTZ '2024-03-09 00:00:00+00'")
    kit.append("silver.inmet_hourly", current.drop_columns(["is_withdrawn"]))
    kit.write_gold()


def lose_from_current(kit):
    kit.delete("silver.inmet_hourly", "observed_at = '2024-03-09 15:00:00+00'")


def rows(report):
    return {each.check: each.outcome.rows for each in report.verdicts}


def test_the_first_run_looks_at_everything_and_the_next_at_nothing_old(kit, left):
    first = run(kit, left)
    assert (first.since, first.holds) == (None, True)
    assert rows(first)["manifests = rows"] > 100
    second = run(kit, left)
    assert second.holds
    looked_at = {name: count for name, count in rows(second).items() if name != "data files are whole"}
    assert set(looked_at.values()) == {0}


def test_what_came_since_is_looked_at_and_nothing_else(kit, left, held):
    hour_comes(kit)
    cluster = WholeCluster(kit.messages)
    report = run(kit, left, cluster=cluster)
    assert (report.since, findings(report)) == (RUNS_AT, {})
    assert {name: rows(report)[name] for name in ("manifests = rows", "bronze = topic", "silver = batch(bronze)")} == {
        "manifests = rows": 1, "bronze = topic": 2, "silver = batch(bronze)": 1,
    }  # fmt: skip
    assert cluster.read_from["inmet_hourly.v1"] > 0


def test_what_came_since_and_is_wrong_is_found(kit, left, held):
    hour_comes(kit, spoilt=True)
    found = findings(run(kit, left))
    assert "silver = batch(bronze)" in found
    again = findings(run(kit, left))
    assert again == found, "a run that failed moved the mark"


def test_a_row_retrieved_long_before_it_was_published_is_looked_at_in_silver_too(kit, left, held):
    hour_comes(kit, retrieved_at=BEGIN + timedelta(days=2))
    lose_from_current(kit)
    assert "silver current = newest" in findings(run(kit, left))


def test_control_a_window_of_kafkas_clock_alone_does_not_see_it(kit, left, held, monkeypatch, control):
    """Silver knows no Kafka clock: the row was retrieved before the window begins."""

    def overlooked() -> list[str]:
        is_seen = "silver current = newest" in findings(run(kit, left))
        return [] if is_seen else ["a row that current has lost is not seen"]

    hour_comes(kit, retrieved_at=BEGIN + timedelta(days=2))
    lose_from_current(kit)
    control.holds(overlooked)
    monkeypatch.setattr(verified, "extended_to_mark", lambda evidence, _, begin: replace(evidence, since=begin))
    control.objects(overlooked, damage="a row that current has lost is not seen")


def test_an_offset_that_bronze_skipped_since_is_found_although_no_row_gives_its_time(kit, left, held):
    kit.append_record("inmet_hourly", b"key", b"value", None, RUNS_AT - timedelta(days=1))
    kit.bronze["inmet_hourly"].pop()
    hour_comes(kit)
    assert findings(run(kit, left))["bronze = topic"] == ["1 committed records are not in bronze"]


def test_a_late_timestamp_moves_the_window_back(kit, left, held):
    """A transaction that was open during the last run brings records that are older than it."""
    hour_comes(kit, at=RUNS_AT - timedelta(minutes=10))
    assert run(kit, left).since == RUNS_AT - timedelta(minutes=10)


def test_rows_removed_from_bronze_make_the_next_run_a_full_one(kit, left, held):
    kit.delete("bronze.inmet_stations", "true")
    report = run(kit, left)
    assert (report.since, findings(report)["manifests = rows"]) == (None, LOST)


def test_control_without_that_the_same_loss_is_seen_by_full_only(kit, left, held, monkeypatch, control):
    def overlooked() -> list[str]:
        """Whether the default run says of a loss what `--full` says of it."""
        told, all_of_it = (findings(run(kit, left, full=full)).get("manifests = rows", []) for full in (False, True))
        return [f"seen by --full alone: {each}" for each in all_of_it if each not in told]

    kit.delete("bronze.inmet_stations", "true")
    control.holds(overlooked)
    monkeypatch.setattr(verified, "_has_only_grown", lambda *_: True)
    control.objects(overlooked, damage=f"seen by --full alone: {LOST[0]}")


def test_a_changed_old_value_of_current_or_gold_is_seen_by_full_only(kit, left, held):
    """What the default run does not promise: these tables change all the time, and it looks at new rows only."""
    kit.change("silver.bcb_sgs", value="7", where="reference_on = '2024-01-25'")
    kit.change("gold.fact_economic_observation", value="7", where="reference_on = '2024-01-25'")
    assert run(kit, left).holds
    assert findings(run(kit, left, full=True)).keys() == {
        "silver current = newest", "gold.fact_economic_observation = batch(silver)",
    }  # fmt: skip


def test_a_lost_file_is_seen_by_every_run(kit, left, held):
    kit.remove_a_file("bronze.inmet_hourly")
    assert "data files are whole" in findings(run(kit, left))


def test_after_a_recreated_table_or_an_unreadable_mark_everything_is_verified(kit, left, held):
    others = json.loads(left.read_text())
    others["tables"]["bronze.bcb_sgs"][0] = "another"
    lake = Lake(kit.lake)
    for text in (json.dumps(others), "", "[]", '{"form": 2}', '{"form": 1}'):
        left.write_text(text)
        assert verified.since(verified.read(left), lake) is None
    assert run(kit, left).since is None


def test_the_mark_stays_before_what_a_layer_has_not_read(kit, left):
    evidence = kit.evidence(oldest_unread_at={"inmet_hourly": BEGIN.timestamp()})
    assert verified.mark(evidence, RUNS_AT).until == BEGIN - timedelta(minutes=15)
    assert verified.mark(kit.evidence(), RUNS_AT).until == RUNS_AT


def test_a_layer_that_has_read_nothing_yet_leaves_everything_to_the_next_run(kit, left):
    shutil.rmtree(kit.path("gold.fact_weather_daily"))
    assert run(kit, left).holds
    assert run(kit, left).since is None
