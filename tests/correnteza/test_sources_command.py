"""`correnteza sources` says what is declared without a broker, and what became of the polls with one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from correnteza import topics
from correnteza.commands import sources as sources_command
from correnteza.settings import Settings
from foundation import clock
from producers import sources
from producers.schedule.attempt import RequestStore
from producers.schedule.outcomes import Record, Result
from producers.schedule.slots import slot_id
from tests.helpers import run_here

ROOT = Path(__file__).parents[2]
NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
CLOCK = {"CORRENTEZA_CLOCK": "2025-11-10T12:00:00Z@1"}


def test_without_a_broker_every_source_is_listed_with_its_calendar_and_terms(alone):
    command = alone("sources", **CLOCK)
    assert command.wait() == 0
    said = command.said
    for name, source in sources.load_all().items():
        assert name in said
        assert source.terms in said
        assert all(cron in said for cron in source.calendar.crons)
    assert (ROOT / sources_command.PAGE).is_file()
    assert sources_command.PAGE in said
    assert "unknown" in said
    assert "try: correnteza up" in said


def test_the_weather_services_terms_are_said(alone):
    command = alone("sources", **CLOCK)
    assert command.wait() == 0
    (line,) = [line for line in command.said.splitlines() if line.startswith("openmeteo_archive") and "CC BY" in line]
    assert "non-commercial" in line


def test_a_key_that_is_set_is_mentioned_and_not_shown(alone):
    command = alone("sources", CORRENTEZA_API_KEYS=json.dumps({"openmeteo_archive": "canary-7f3a"}), **CLOCK)
    assert command.wait() == 0
    assert "asked with your key" in command.said
    assert "canary-7f3a" not in command.said


def test_a_poll_that_ends_while_the_command_reads_is_not_later_than_its_answer(tmp_path, monkeypatch):
    """Under a replay's clock an instant is minutes."""

    def ends_now(settings):
        now = clock.now()
        record = Record(
            source="bcb_sgs",
            slot_id=slot_id("bcb_sgs", now),
            scheduled_for=now,
            outcome=Result.PUBLISHED,
            attempt=1,
            started_at=now,
            ended_at=now,
            worker="here:1",
            last_success_at=now,
        )
        return {"bcb_sgs": record}, None

    monkeypatch.setattr(sources_command, "_newest", ends_now)
    done = run_here(Settings(home=tmp_path), ["sources", "--json"])
    document = json.loads(done.stdout)
    (ended,) = [each["last"]["last_success_at"] for each in document["sources"] if each["last"]]
    assert datetime.fromisoformat(ended) < datetime.fromisoformat(document["at"])


def test_a_replay_begins_with_the_command_also_in_a_process_that_is_older(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "_STARTED", 0.0)
    done = run_here(Settings(home=tmp_path), ["sources", "--json"], {"CORRENTEZA_CLOCK": "2025-11-10T12:00:00Z@0.001"})
    assert json.loads(done.stdout)["at"].startswith("2025-11-10T12:00:0")


@pytest.fixture
def polled(settings):
    """One source that published an hour ago and has failed four times since; one that was never polled."""
    topics.apply(settings.bootstrap, [], settings.topic_prefix)
    record = Record(
        source="bcb_sgs",
        slot_id=slot_id("bcb_sgs", NOON - timedelta(minutes=49)),
        scheduled_for=NOON - timedelta(minutes=49),
        outcome=Result.FAILED,
        attempt=4,
        started_at=NOON - timedelta(minutes=11),
        ended_at=NOON - timedelta(minutes=10),
        worker="here:1",
        error="status 503",
        consecutive_failures=4,
        circuit_open_until=NOON + timedelta(minutes=20),
        last_success_at=NOON - timedelta(hours=6),
        last_news_at=NOON - timedelta(days=3),
        last_news_rows=12_345,
    )
    RequestStore(settings.bootstrap, settings.topic_prefix).outcomes.write([record])
    return record


def test_the_last_outcome_the_ages_and_the_open_circuit_are_shown(here, polled):
    done = here("sources", **CLOCK)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("bcb_sgs") and "failed" in line]
    assert line.split("  ")[-1].strip() == "2025-11-10 17:11"
    for part in ("2025-11-10 11:50", "6 h", "3 d", "12,345", "open until 2025-11-10 12:20"):
        assert part in line
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("inmet_hourly") and "never" in line]
    assert "closed" in line


def test_the_json_form_is_versioned_and_holds_the_whole_record(here, polled):
    done = here("sources", "--json", **CLOCK)
    document = json.loads(done.stdout)
    assert document["format"] == 1
    by_name = {each["source"]: each for each in document["sources"]}
    assert by_name.keys() == sources.load_all().keys()
    assert by_name["bcb_sgs"]["last"] == json.loads(polled.to_json())
    assert by_name["bcb_sgs"]["circuit"] == "open"
    assert (by_name["inmet_hourly"]["state"], by_name["inmet_hourly"]["last"]) == ("never", None)
    assert set(by_name["bcb_sgs"]) == {
        "source",
        "datasets",
        "calendar",
        "next_slot",
        "state",
        "circuit",
        "terms",
        "last",
    }
