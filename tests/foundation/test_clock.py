"""The clock is the real one, unless a replay says where it starts and how fast it goes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from foundation import clock
from foundation.errors import UsageError


def test_without_the_variable_it_is_the_real_time(monkeypatch):
    monkeypatch.delenv(clock.VARIABLE, raising=False)
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


def test_a_replay_clock_starts_at_the_given_time_and_runs_at_the_given_speed(monkeypatch):
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: 1_800_000_010.0))
    monkeypatch.setenv(clock.VARIABLE, "2025-11-10T00:00:00Z@480@1800000000")
    assert clock.now() - datetime(2025, 11, 10, tzinfo=UTC) == timedelta(seconds=4800)


def test_two_processes_with_one_origin_agree(monkeypatch):
    """What a process reads depends on the variable and the real time alone, not on when it started."""
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: 1_800_000_010.0))
    monkeypatch.setenv(clock.VARIABLE, "2025-11-10T00:00:00Z@480@1800000000")
    first = clock.now()
    monkeypatch.setattr(clock, "_STARTED", 0.0)
    clock._parsed.cache_clear()
    assert clock.now() == first


def test_a_start_in_another_zone_is_the_same_instant(monkeypatch):
    monkeypatch.setattr(clock, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    monkeypatch.setenv(clock.VARIABLE, "2025-11-09T21:00:00-03:00@1@1800000000")
    assert clock.now() == datetime(2025, 11, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "setting",
    ["yesterday", "2025-11-10T00:00:00Z", "2025-11-10T00:00:00@480", "2025-11-10T00:00:00Z@0", "2025-11-10T00:00:00Z@x",
     "2025-11-10T00:00:00Z@-1", "2025-11-10T00:00:00Z@480@then", "2025-11-10T00:00:00Z@480@1@2",
     "2025-11-10T00:00:00Z@nan"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(monkeypatch, setting):
    monkeypatch.setenv(clock.VARIABLE, setting)
    with pytest.raises(UsageError, match="CORRENTEZA_CLOCK"):
        clock.now()
