"""The short form of test_running_pipeline.py: a real `correnteza up`, of which the driver was never started."""

import time
import urllib.request

import pytest

from tests.helpers import PATIENCE_SECONDS, wait_for
from tests.monitoring.alerts.live import alerting
from tests.monitoring.alerts.running import Running, running

FACTOR = 20.0
"""Ten minutes are thirty seconds, and a part must be down for six. How long the monitor waits for an answer is not
divided, and on a slow machine one comes too late now and then."""
COMPONENTS = ("broker", "registry", "schedule", "monitor")

pytestmark = [pytest.mark.integration, pytest.mark.fault]


def has_looked(up: Running) -> bool:
    """Whether the monitor has looked at every part once; until then each counts as down."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{up.targets['monitor'][0]}/readyz", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_without_a_driver_one_page_is_sent_and_one_more_for_a_broker_that_hangs(tmp_path):
    with running(tmp_path / "up", FACTOR, *COMPONENTS) as up:
        wait_for(lambda: has_looked(up), "the monitor's first looks")
        with alerting(tmp_path / "alerts", up.targets, FACTOR, every="2s", group_wait="5s") as all_:
            all_.wait_told("TargetDown", "firing", 0.0, PATIENCE_SECONDS, job="stream")
            wait_for(lambda: "CanaryMissing" in all_.firing(), "no canary comes to gold")
            # Prometheus needs five seconds to find its targets, on a slow machine more than these rules wait.
            assert all_.receiver.pages() - {"TargetAbsent"} == {"TargetDown"}
            since = time.monotonic()
            up.freeze("broker")
            try:
                told = all_.wait_told("PartDown", "firing", since, PATIENCE_SECONDS, part="broker").at
                # After its return its clients reconnect at their own pace, which is not divided.
                parts = {each.labels["part"] for each in all_.receiver.fired(since) if each.name == "PartDown"}
            finally:
                up.thaw("broker")
            print(f"the broker hangs: PartDown after {told - since:.1f} s, rules {FACTOR:g} times as fast")
            all_.wait_told("PartDown", "resolved", since, PATIENCE_SECONDS, part="broker")
            assert all_.receiver.pages(since) - {"TargetDown"} == {"PartDown"}
            assert parts == {"broker"}
