"""A command beside `up --replay` has the replay's clock; after the replay has ended it says that the data are old."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest import mock

import psutil
import pytest

from correnteza import cli as command_line
from correnteza import replay_state
from correnteza.settings import Settings
from foundation import clock
from tests.controls import differs
from tests.helpers import run_here


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Variables that a test sets are gone after it."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def settings(home) -> Settings:
    return Settings(home=home)


def variables() -> dict[str, str]:
    """What a replay's components get; its clock begins at the noon of 11 November 2025."""
    return {
        clock.VARIABLE: f"2025-11-11T12:00:00Z@1@{time.time()}",
        "CORRENTEZA_BASE_URLS": '{"bcb_sgs": "http://127.0.0.1:1"}',
    }


def end(settings) -> None:
    """Let the replay of this home be one whose process has ended."""
    file = settings.run / "replay.json"
    state = json.loads(file.read_text())
    file.write_text(json.dumps(state | {"created": "earlier"}))


def wrong_day(settings) -> list[str]:
    """Whether `sources` counts from another day than the replay's."""
    with mock.patch.dict(os.environ):
        answer = run_here(settings, ["sources", "--json"])
    return differs(json.loads(answer.stdout)["at"][:10], "2025-11-11")


def test_a_command_beside_a_running_replay_has_its_clock_and_its_sources(settings):
    replay_state.write(settings.run, variables())
    assert replay_state.join(settings.run) == "a replay runs in this home: its clock says 2025-11-11 12:00 UTC"
    assert f"{clock.now():%Y-%m-%d %H:%M}" == "2025-11-11 12:00"
    assert os.environ["CORRENTEZA_BASE_URLS"] == '{"bcb_sgs": "http://127.0.0.1:1"}'


def test_after_the_replay_has_ended_a_command_has_todays_clock_and_says_so(settings):
    replay_state.write(settings.run, variables())
    end(settings)
    answer = run_here(settings, ["sources", "--json"])
    at = datetime.fromisoformat(json.loads(answer.stdout)["at"])
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert f"note: {replay_state.ENDED}" in answer.stderr


def test_another_process_with_the_same_number_is_not_the_replay(settings):
    """Process numbers are reused: the time of the start counts too."""
    replay_state.write(settings.run, variables())
    assert psutil.pid_exists(json.loads((settings.run / "replay.json").read_text())["pid"])
    end(settings)
    assert replay_state.join(settings.run) == replay_state.ENDED
    assert clock.VARIABLE not in os.environ


def test_a_clock_that_the_environment_sets_is_kept(settings, monkeypatch):
    replay_state.write(settings.run, variables())
    monkeypatch.setenv(clock.VARIABLE, "2025-11-10T12:00:00Z@1")
    assert replay_state.join(settings.run) is None
    assert os.environ[clock.VARIABLE] == "2025-11-10T12:00:00Z@1"
    assert "CORRENTEZA_BASE_URLS" not in os.environ


def test_in_a_home_without_a_replay_nothing_is_said(settings):
    assert replay_state.join(settings.run) is None
    assert "note:" not in run_here(settings, ["sources", "--json"]).stderr


def test_with_a_wrong_setting_the_command_itself_says_what_is_wrong(settings):
    answer = run_here(settings, ["config", "validate"], {"CORRENTEZA_MONITOR_PORT": "x"})
    assert answer.returncode == 2
    assert answer.stderr.count("CORRENTEZA_MONITOR_PORT must be") == 1


def test_control_a_command_that_does_not_join_the_replay_counts_from_today(settings, monkeypatch, control):
    replay_state.write(settings.run, variables())
    control.holds(wrong_day, settings)
    monkeypatch.setattr(command_line, "_join_replay", lambda: None)
    control.objects(wrong_day, settings, damage="instead of '2025-11-11'")
