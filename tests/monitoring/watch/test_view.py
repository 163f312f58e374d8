"""The monitor's values are right, also after the driver was killed or while the broker is down."""

import json
from datetime import timedelta

import pytest
from deltalake import DeltaTable

from monitoring.lag.status import Places, status
from monitoring.watch import monitor as watching_monitor
from monitoring.watch.view import SourceState
from schemas.contracts import load_all
from tests.controls import differs
from tests.monitoring.kit import BEGIN, write_checkpoint
from tests.monitoring.watch.kit import NEXT, away, watching

SGS = "bcb_sgs.v1"
HOUR = 3600.0


@pytest.fixture
def now(monkeypatch):
    moment = BEGIN.timestamp() + 100
    monkeypatch.setattr(watching_monitor.time, "time", lambda: moment)
    return moment


@pytest.fixture
def watched(kit, now):
    """Bronze has read 7 of 10 offsets; silver and gold have read everything."""
    write_checkpoint(kit.checkpoints, "bronze.bcb_sgs", batch=4, sources=[{SGS: {"0": 7}}])
    write_checkpoint(kit.checkpoints, "silver.bcb_sgs", batch=2, sources=[at_end(kit, "bronze.bcb_sgs")])
    monitor, parts = watching(kit)
    parts.ends[SGS] = 10
    parts.oldest[SGS, 0] = now - HOUR
    return monitor, parts


def at_end(kit, table):
    path = str(kit.path(table))
    return {"sourceVersion": 1, "reservoirId": DeltaTable(path).metadata().id,
            "reservoirVersion": DeltaTable(path).version() + 1, "index": -1, "isStartingVersion": False}  # fmt: skip


def value(monitor, name, *labels):
    return monitor.samples().get(name, {}).get(labels)


def test_how_far_behind_each_layer_is(watched, now):
    monitor, _ = watched
    monitor.parts.look_at_all()
    bronze, silver = ("bronze", "bcb_sgs"), ("silver", "bcb_sgs")
    assert value(monitor, "lag_records", *bronze) == 3
    assert value(monitor, "lag_seconds", *bronze) == HOUR
    assert value(monitor, "oldest_unread_timestamp_seconds", *bronze) == now - HOUR
    assert value(monitor, "newest_event_timestamp_seconds", *bronze) == BEGIN.timestamp()
    assert value(monitor, "query_committed_batch", *bronze) == 4
    assert (value(monitor, "lag_records", *silver), value(monitor, "lag_seconds", *silver)) == (0, 0)
    assert value(monitor, "oldest_unread_timestamp_seconds", *silver) is None
    assert value(monitor, "query_state", *bronze, "behind") == 1
    assert value(monitor, "query_state", *bronze, "ok") == 0
    assert value(monitor, "query_state", "gold", "fact_economic_observation", "not_started") == 1


def test_it_says_what_status_says(watched, kit, now):
    monitor, parts = watched

    class Broker:
        def topics(self, names):
            return parts.kafka().waiting.topics

        def oldest_timestamps(self, positions, _seconds):
            return {where: parts.oldest.get(where) for where in positions}

    monitor.parts.look_at_all()
    places = Places(kit.lake, kit.checkpoints, "", {"fact_economic_observation": ("bcb_sgs",)})
    expected = status(places, Broker, load_all().values(), now=now)
    found = [each.line for each in monitor._seen(monitor.view())]
    assert [differs(one, other) for one, other in zip(found, expected.lines, strict=True) if one != other] == []


def test_the_time_to_loss_decreases_while_a_record_waits(watched, now):
    monitor, parts = watched
    monitor.parts.look_at_all()
    week = 7 * 24 * HOUR
    assert value(monitor, "retention_seconds_to_loss", "bcb_sgs") == week - HOUR
    assert value(monitor, "retention_used_ratio", "bcb_sgs") == pytest.approx(HOUR / week)
    parts.first[SGS] = 8  # retention has removed one unread record
    monitor.parts.look_at_all()
    assert value(monitor, "retention_seconds_to_loss", "bcb_sgs") == 0
    assert value(monitor, "retention_used_ratio", "bcb_sgs") == 1


@pytest.mark.parametrize("case", ["nothing waits", "kept for ever", "not asked"])
def test_retention_is_shown_only_for_tables_with_waiting_records(watched, case):
    monitor, parts = watched
    if case == "nothing waits":
        parts.ends[SGS] = 7
    elif case == "kept for ever":
        parts.retention[SGS] = None
    else:
        parts.retention.clear()
    monitor.parts.look_at_all()
    assert value(monitor, "retention_seconds_to_loss", "bcb_sgs") is None
    assert value(monitor, "retention_used_ratio", "bcb_sgs") is None


def test_without_the_broker_values_from_files_are_shown_and_those_of_the_broker_are_absent(watched):
    monitor, parts = watched
    monitor.parts.look_at_all()
    before = monitor.samples()
    parts.failing["broker"] = away()
    monitor.parts.look_at_all()
    after = monitor.samples()
    assert (after["up"]["broker",], after["up"]["lake",], after["up"]["checkpoints",]) == (0, 1, 1)
    assert not [labels for labels in after["lag_records"] if labels[0] == "bronze"]
    assert not [labels for labels in after["lag_seconds"] if labels[0] == "bronze"]
    assert "retention_seconds_to_loss" not in after
    assert "broker_offline_partitions" not in after
    for name in ("newest_event_timestamp_seconds", "query_committed_batch", "table_version", "table_files"):
        assert after[name] == before[name], name
    assert after["lag_records"]["silver", "bcb_sgs"] == 0
    assert after["part_last_success_timestamp_seconds"]["broker",] > 0
    document = monitor.document()
    (unreachable,) = document["unreachable"]
    assert "secret" not in json.dumps(document)
    assert unreachable["service"] == "kafka"
    assert unreachable["hint"] == "correnteza up"


def test_with_unreadable_checkpoints_no_lag_is_shown_and_what_was_committed_stays(watched):
    monitor, parts = watched
    monitor.parts.look_at_all()
    parts.failing["checkpoints"] = OSError("I/O error")
    monitor.parts.look_at_all()
    assert "lag_records" not in monitor.samples()
    assert value(monitor, "query_committed_batch", "bronze", "bcb_sgs") == 4
    assert value(monitor, "query_state", "bronze", "bcb_sgs", "unknown") == 1
    assert value(monitor, "up", "broker") == 1


def test_with_the_lake_away_bronze_s_lag_is_shown_and_newest_events_stay(watched):
    monitor, parts = watched
    monitor.parts.look_at_all()
    parts.failing["lake"] = OSError("I/O error")
    monitor.parts.look_at_all()
    assert value(monitor, "lag_records", "bronze", "bcb_sgs") == 3
    assert value(monitor, "lag_records", "silver", "bcb_sgs") is None
    assert value(monitor, "newest_event_timestamp_seconds", "bronze", "bcb_sgs") == BEGIN.timestamp()
    assert value(monitor, "table_files", "bronze", "bcb_sgs") is None
    assert value(monitor, "table_version", "bronze", "bcb_sgs") is not None
    assert value(monitor, "query_state", "silver", "bcb_sgs", "unknown") == 1


def test_with_the_schedule_away_the_next_slot_and_the_last_success_stay(watched):
    monitor, parts = watched
    parts.sources = {"bcb_sgs": SourceState(BEGIN, (BEGIN - timedelta(hours=6), BEGIN), True, ())}
    monitor.parts.look_at_all()
    assert value(monitor, "source_overdue_slots", "bcb_sgs") == 2
    oldest = value(monitor, "source_oldest_overdue_slot_timestamp_seconds", "bcb_sgs")
    assert oldest == (BEGIN - timedelta(hours=6)).timestamp()
    assert value(monitor, "source_circuit_open", "bcb_sgs") == 1
    parts.failing["schedule"] = away()
    monitor.parts.look_at_all()
    assert value(monitor, "source_overdue_slots", "bcb_sgs") is None
    assert value(monitor, "source_circuit_open", "bcb_sgs") is None
    assert value(monitor, "source_next_slot_timestamp_seconds", "bcb_sgs") == NEXT.timestamp()
    assert value(monitor, "source_last_success_timestamp_seconds", "bcb_sgs") == BEGIN.timestamp()
    assert monitor.document()["sources"][0]["state"] == "unknown"


def untrue(monitor):
    """Values of bronze's lag that cannot be known."""
    return [f"{name} of bronze is parts" for name in ("lag_records", "lag_seconds")
            if value(monitor, name, "bronze", "bcb_sgs") is not None]  # fmt: skip


def test_control_with_the_last_answer_for_a_present_one_a_broker_that_is_away_has_a_lag(watched, control):
    monitor, parts = watched
    monitor.parts.look_at_all()
    parts.failing["broker"] = away()
    monitor.parts.look_at_all()
    control.holds(untrue, monitor)
    broker = monitor.parts.by_name["broker"]
    broker.value = broker.last_good
    control.objects(untrue, monitor, damage="lag_records of bronze is parts")


def test_a_stopped_query_is_shown_with_its_state(watched, kit):
    monitor, _ = watched
    word = {"state": "stalled", "reason": "no progress", "hint": "look", "generation": 0, "committed_batch": 4}
    (kit.checkpoints / "bronze.bcb_sgs" / "standing.json").write_text(json.dumps(word))
    monitor.parts.look_at_all()
    assert value(monitor, "query_state", "bronze", "bcb_sgs", "stalled") == 1
    assert value(monitor, "query_state", "bronze", "bcb_sgs", "behind") == 0


def test_the_document_has_parts_sources_retention_and_tables(watched):
    monitor, _ = watched
    monitor.parts.look_at_all()
    found = monitor.document()
    assert (found["schema"], found["canary_interval_seconds"]) == (6, 60)
    assert [each["part"] for each in found["parts"]] == [
        "broker", "registry", "lake", "checkpoints", "disk", "schedule", "driver",
    ]  # fmt: skip
    assert {"table": "bcb_sgs", "seconds_to_loss": 601200.0, "used_ratio": 0.005952} in found["retention"]
    (source,) = found["sources"]
    assert source["outcomes"] == [{"outcome": "published", "slot_at": "2026-11-20T12:00:00.000Z"}]
    assert (source["state"], source["overdue_slots"], source["circuit_open"]) == ("known", 1, False)
    assert "bronze.bcb_sgs" in {each["table"] for each in found["tables"]}


def test_pages_answer_from_memory_while_every_part_hangs_or_fails(watched):
    monitor, _ = watched
    assert json.loads(monitor.readiness().body)["is_ready"] is False
    monitor.parts.look_at_all()
    assert (monitor.readiness().status, monitor.health().status) == (200, 200)

    def no_look():
        raise AssertionError("a page looks itself")

    for part in monitor.parts.by_name.values():
        part.look = no_look
    pages = monitor.pages()
    assert {path: page({}).status for path, page in pages.items()} == dict.fromkeys(
        ("/", "/still", "/status.json", "/metrics", "/healthz", "/readyz"), 200
    )
    for each in ("broker", "lake"):
        monitor.parts.by_name[each].look_once()
    assert set(json.loads(monitor.readiness().body)["down"]) == {"broker", "lake"}


def test_the_history_gets_a_point_a_minute(watched, now, monkeypatch):
    monitor, _ = watched
    for seconds in (0, 10, 61):
        monkeypatch.setattr(watching_monitor.time, "time", lambda seconds=seconds: now + seconds)
        monitor.parts.look_at_all()
    found = monitor._history.read()
    assert [round(at - now) for at, _ in found["lag_seconds"]["bronze.bcb_sgs"]] == [0, 61]
    assert [round(each) for _, each in found["freshness_seconds"]["bronze.bcb_sgs"]] == [100, 161]


def test_a_slow_partition_makes_the_age_unknown_and_not_zero(watched):
    monitor, parts = watched
    parts.oldest.clear()
    monitor.parts.look_at_all()
    assert value(monitor, "lag_records", "bronze", "bcb_sgs") == 3
    assert value(monitor, "lag_seconds", "bronze", "bcb_sgs") is None
