"""One fault gives one page: a real Prometheus and Alertmanager over processes that export values of the test.

Durations are divided, so that a cause, its effects and the end of both take seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.controls import differs
from tests.helpers import PATIENCE_SECONDS, wait_for
from tests.monitoring.alerts.exposed import NOW, FakeMetrics, exposed
from tests.monitoring.alerts.live import Alerting, alerting

FACTOR = 180.0
"""Ten minutes are 3.3 s."""
SETTLED_SECONDS = 8.0
"""All that follows from a cause fires within: 10 minutes without a commit, and 10 minutes of that."""


def driver_stops(state: FakeMetrics) -> None:
    """Its process is gone; records come, and no canary reaches gold."""
    state.down.add("stream")
    state.part("driver", is_up=False)
    state.set("monitor", lag_records=500, lag_seconds=1000, canary_newest_timestamp_seconds=time.time())


def driver_returns(state: FakeMetrics) -> None:
    state.down.discard("stream")
    state.part("driver", is_up=True)
    state.set("monitor", lag_records=0, lag_seconds=0, canary_newest_timestamp_seconds=NOW)


def followed(all_: Alerting) -> None:
    """Until the consequence of the cause fires, too, whether a message is sent or not."""
    wait_for(lambda: {"PipelineStalled", "CanaryMissing"} <= set(all_.firing()), "what follows fires")


def told(all_: Alerting) -> None:
    """Until a page was sent for the consequence, too."""
    wait_for(lambda: {"PipelineStalled", "CanaryMissing"} <= all_.receiver.pages(), "what follows is told")


def pages_of_a_stopped_driver(all_: Alerting, state: FakeMetrics, then: Callable[[Alerting], None]) -> list[str]:
    since = time.monotonic()
    driver_stops(state)
    all_.wait_told("TargetDown", "firing", since, PATIENCE_SECONDS, job="stream")
    then(all_)
    wait_for(lambda: time.monotonic() > since + SETTLED_SECONDS, "time for messages")
    pages = all_.receiver.pages(since)
    driver_returns(state)
    all_.wait_told("TargetDown", "resolved", since, PATIENCE_SECONDS, job="stream")
    all_.wait_quiet(PATIENCE_SECONDS)
    return differs(sorted(pages | all_.receiver.pages(since)), ["TargetDown"])


def test_control_a_stopped_driver_is_one_page_since_what_follows_is_kept_back(tmp_path, control):
    """Without inhibition the same fault also gives pages for the stalled tables and the canary."""
    with exposed() as (state, ports), alerting(tmp_path / "with", ports, FACTOR) as all_:
        all_.wait_quiet(PATIENCE_SECONDS)
        control.holds(pages_of_a_stopped_driver, all_, state, followed)
    with exposed() as (state, ports), alerting(tmp_path / "without", ports, FACTOR, inhibits=False) as all_:
        all_.wait_quiet(PATIENCE_SECONDS)
        said = ("CanaryMissing", "PipelineStalled")
        control.objects(pages_of_a_stopped_driver, all_, state, told, damage=said)


def test_links_of_an_alert_lead_to_pages_that_prometheus_serves(tmp_path):
    with exposed() as (_, ports), alerting(tmp_path, ports, FACTOR) as all_:
        told = wait_for(lambda: all_.receiver.newest("Watchdog", 0), "the Watchdog is told")
        for name, heading in (("runbook_url", '<h3 id="Watchdog">'), ("dashboard_url", '<section id="answer">')):
            host, _, path = told.annotations[name].partition("//")[2].partition("/")
            assert host, told.annotations[name]
            path, _, anchor = path.partition("#")
            assert anchor in heading
            assert heading in all_.page(f"/{path}")


@dataclass(frozen=True)
class Fault:
    """A fault, the expected alerts, and its end.

    Attributes:
        pages: whom it wakes; empty for a ticket.
        follow: alerts that must fire, too, and be kept back.
        job: the label of the alert, where it has it.
    """

    name: str
    alert: str
    begins: Callable[[FakeMetrics], None]
    ends: Callable[[FakeMetrics], None]
    pages: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    job: str = ""


def broker_stops(state: FakeMetrics) -> None:
    """Values from Kafka are absent, the driver ends, and there is no leader."""
    for part in ("broker", "registry", "schedule", "driver"):
        state.part(part, is_up=False)
    state.down.add("stream")
    state.set("schedule", leader=0)
    state.set("monitor", canary_newest_timestamp_seconds=time.time(), source_overdue_slots=5)


def broker_returns(state: FakeMetrics) -> None:
    for part in ("broker", "registry", "schedule", "driver"):
        state.part(part, is_up=True)
    state.down.discard("stream")
    state.set("schedule", leader=1)
    state.set("monitor", canary_newest_timestamp_seconds=NOW, source_overdue_slots=0)


def schedule_stops(state: FakeMetrics) -> None:
    """Its process is gone, so no canary is sent."""
    state.down.add("schedule")
    state.set("monitor", canary_newest_timestamp_seconds=time.time())


def schedule_returns(state: FakeMetrics) -> None:
    state.down.discard("schedule")
    state.set("monitor", canary_newest_timestamp_seconds=NOW)


def values(job: str, **series: object) -> Callable[[FakeMetrics], None]:
    """Set these values of a job."""
    return lambda state: state.set(job, **series)


def table_stops(state: FakeMetrics) -> None:
    """Records wait, and no canary comes any more; its age grows from now on."""
    state.set("monitor", lag_records=9, canary_newest_timestamp_seconds=time.time())


FAULTS = (
    Fault(
        "the driver stops",
        "TargetDown",
        driver_stops,
        driver_returns,
        ("TargetDown",),
        ("PipelineStalled", "CanaryMissing"),
        job="stream",
    ),
    Fault(
        "the broker stops",
        "PartDown",
        broker_stops,
        broker_returns,
        ("PartDown",),
        ("TargetDown", "NoLeader", "SlotsOverdue", "CanaryMissing"),
    ),
    Fault(
        "a table is stopped",
        "PipelineStalled",
        table_stops,
        values("monitor", lag_records=0, canary_newest_timestamp_seconds=NOW),
        ("PipelineStalled",),
        ("CanaryMissing",),
    ),
    Fault(
        "no canary arrives",
        "CanaryMissing",
        values("monitor", canary_newest_timestamp_seconds=1),
        values("monitor", canary_newest_timestamp_seconds=NOW),
        ("CanaryMissing",),
    ),
    Fault(
        "the schedule stops",
        "TargetDown",
        schedule_stops,
        schedule_returns,
        ("TargetDown",),
        ("CanaryMissing",),
        job="schedule",
    ),
    Fault(
        "the monitor stops",
        "TargetDown",
        lambda state: state.down.add("monitor"),
        lambda state: state.down.discard("monitor"),
        ("TargetDown",),
        job="monitor",
    ),
    Fault(
        "a source fails",
        "SourceFailing",
        values("monitor", source_circuit_open=1, source_periods_missing=2),
        values("monitor", source_circuit_open=0, source_periods_missing=0),
        (),
        ("FreshnessObjectiveMissed",),
    ),
    Fault(
        "retention runs out",
        "RetentionMarginLow",
        values("monitor", retention_seconds_to_loss=100, retention_used_ratio=0.99),
        values("monitor", retention_seconds_to_loss=600_000, retention_used_ratio=0.01),
        ("RetentionMarginLow",),
    ),
    Fault(
        "records are lost", "RecordsLost", values("monitor", lost_records_total=9), lambda state: None, ("RecordsLost",)
    ),
    Fault(
        "a schema breaks",
        "QuarantineSpike",
        values("monitor", dead_letters_open=40),
        values("monitor", dead_letters_open=0),
    ),
    Fault(
        "the disk fills",
        "DiskAlmostFull",
        values("monitor", disk_free_bytes=1e9),
        values("monitor", disk_free_bytes=50e9),
        ("DiskAlmostFull",),
    ),
)


@pytest.mark.slow
def test_each_fault_fires_its_alert_and_no_other_page(tmp_path):
    """All faults one after the other, and a quiet time before them that fires none. It prints the seconds."""
    with exposed() as (state, ports), alerting(tmp_path, ports, FACTOR) as all_:
        all_.wait_quiet(PATIENCE_SECONDS)
        since = time.monotonic()
        wait_for(lambda: time.monotonic() > since + SETTLED_SECONDS, "a quiet time")
        assert all_.receiver.fired(since) == []
        for each in FAULTS:
            since = time.monotonic()
            each.begins(state)
            labels = {"job": each.job} if each.job else {}
            fired = all_.wait_told(each.alert, "firing", since, PATIENCE_SECONDS, **labels).at
            wait_for(lambda each=each: set(each.follow) <= set(all_.firing()), f"{each.name}: {each.follow}")
            wait_for(lambda since=since: time.monotonic() > since + SETTLED_SECONDS, "time for messages")
            ended = time.monotonic()
            each.ends(state)
            resolved = all_.wait_told(each.alert, "resolved", since, PATIENCE_SECONDS, **labels).at
            all_.wait_quiet(PATIENCE_SECONDS)
            print(f"{each.name:<24} {each.alert:<20} {fired - since:5.1f} s; {resolved - ended:5.1f} s after its end")
            assert all_.receiver.pages(since) == set(each.pages), each.name
