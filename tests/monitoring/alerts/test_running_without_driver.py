"""The short form of test_running_pipeline.py: a real `correnteza up`, of which the driver was never started."""

import time

import pytest

from tests.helpers import wait_for
from tests.monitoring.alerts.live import alerting
from tests.monitoring.alerts.running import running

FACTOR = 60.0
"""Ten minutes are ten seconds."""
LONG = 120
COMPONENTS = ("broker", "registry", "schedule", "monitor")

pytestmark = [pytest.mark.integration, pytest.mark.fault]


def test_without_a_driver_one_page_is_sent_and_one_more_for_a_broker_that_hangs(tmp_path):
    with (
        running(tmp_path / "up", FACTOR, *COMPONENTS) as up,
        alerting(tmp_path / "alerts", up.targets, FACTOR, every="2s", group_wait="5s") as all_,
    ):
        all_.wait_told("TargetDown", "firing", 0.0, LONG, job="stream")
        wait_for(lambda: "CanaryMissing" in all_.firing(), "no canary comes to gold", LONG)
        # Prometheus needs five seconds to find its targets, and these rules miss them after three.
        assert all_.receiver.pages() - {"TargetAbsent"} == {"TargetDown"}
        since = time.monotonic()
        up.freeze("broker")
        try:
            told = all_.wait_told("PartDown", "firing", since, LONG, part="broker").at
            # After its return its clients reconnect at their own pace, which is not divided.
            parts = {each.labels["part"] for each in all_.receiver.fired(since) if each.name == "PartDown"}
        finally:
            up.thaw("broker")
        print(f"the broker hangs: PartDown after {told - since:.1f} s, rules {FACTOR:g} times as fast")
        all_.wait_told("PartDown", "resolved", since, LONG, part="broker")
        assert all_.receiver.pages(since) - {"TargetDown"} == {"PartDown"}
        assert parts == {"broker"}
