"""One fault wakes somebody once: a real Prometheus and Alertmanager over processes that say what a test lets them say.

Durations are divided, so that a cause, what follows from it, and the end of both take seconds. The same with the real
pipeline, some minutes long: tests/faults/test_alerts.py.
"""

import time
from collections.abc import Callable

from tests.controls import differs
from tests.helpers import wait_for
from tests.monitoring.alerts.exposed import NOW, Exposed, exposed
from tests.monitoring.alerts.live import Alerting, alerting

FACTOR = 180.0
"""Ten minutes are 3.3 s."""
SETTLED_SECONDS = 8.0
"""All that follows from a cause fires within: 10 minutes without a commit, and 10 minutes of that."""
LONG = 60


def driver_stops(state: Exposed) -> None:
    """Its process is gone; records come, and no canary reaches gold."""
    state.down.add("stream")
    state.part("driver", is_up=False)
    state.set("monitor", lag_records=500, lag_seconds=1000, canary_newest_timestamp_seconds=time.time())


def driver_returns(state: Exposed) -> None:
    state.down.discard("stream")
    state.part("driver", is_up=True)
    state.set("monitor", lag_records=0, lag_seconds=0, canary_newest_timestamp_seconds=NOW)


def followed(all_: Alerting) -> None:
    """Until what follows from the cause fires, too, told or not."""
    wait_for(lambda: {"PipelineStalled", "CanaryMissing"} <= set(all_.firing()), "what follows fires", LONG)


def pages_of_a_stopped_driver(all_: Alerting, state: Exposed, then: Callable[[Alerting], None]) -> list[str]:
    since = time.monotonic()
    driver_stops(state)
    all_.wait_told("TargetDown", "firing", since, LONG, job="stream")
    then(all_)
    wait_for(lambda: time.monotonic() > since + SETTLED_SECONDS, "time for messages", LONG)
    pages = all_.receiver.pages(since)
    driver_returns(state)
    all_.wait_told("TargetDown", "resolved", since, LONG, job="stream")
    all_.wait_quiet(LONG)
    return differs(sorted(pages | all_.receiver.pages(since)), ["TargetDown"])


def test_control_a_stopped_driver_is_one_page_since_what_follows_is_kept_back(tmp_path, control):
    """Without inhibition the same fault wakes somebody for the stalled tables and the canary, too."""
    with exposed() as (state, ports), alerting(tmp_path / "with", ports, FACTOR) as all_:
        all_.wait_quiet(LONG)
        control.holds(pages_of_a_stopped_driver, all_, state, followed)
    with exposed() as (state, ports), alerting(tmp_path / "without", ports, FACTOR, inhibits=False) as all_:
        all_.wait_quiet(LONG)
        said = ("CanaryMissing", "PartDown", "PipelineStalled")
        control.objects(pages_of_a_stopped_driver, all_, state, followed, damage=said)


def test_links_of_an_alert_lead_to_pages_that_prometheus_serves(tmp_path):
    with exposed() as (_, ports), alerting(tmp_path, ports, FACTOR) as all_:
        told = wait_for(lambda: all_.receiver.newest("Watchdog", 0), "the Watchdog is told", LONG)
        for name, heading in (("runbook_url", '<h3 id="Watchdog">'), ("dashboard_url", '<section id="answer">')):
            host, _, path = told.annotations[name].partition("//")[2].partition("/")
            assert host, told.annotations[name]
            path, _, anchor = path.partition("#")
            assert anchor in heading
            assert heading in all_.page(f"/{path}")
