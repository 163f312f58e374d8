"""The profile observability beside core and demo: Prometheus reads every process, has every rule, and tells
Alertmanager. `make test-containers`."""

import json

import pytest
import yaml

from tests.deploy.stack import CORE, DEMO, started
from tests.helpers import ROOT, still, wait_for

pytestmark = pytest.mark.containers

JOBS = {
    "monitor:9464": "monitor",
    "stream:9465": "stream",
    "schedule-1:9466": "schedule",
    "schedule-2:9466": "schedule",
}
SECONDS = 120


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    services = CORE | DEMO | {"prometheus", "alertmanager"}
    with started(tmp_path_factory.mktemp("compose"), ("core", "demo", "observability"), services) as made:
        yield made


def answer(stack, url):
    """What a page of the inner network answers, asked by the monitor's container."""
    program = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
    done = stack.inside("monitor", "python", "-c", program, url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(stack, path):
    """Prometheus' answer to a query of its API."""
    return json.loads(answer(stack, f"http://prometheus:9090/api/v1/{path}"))["data"]


def not_read(stack):
    """The oracle: targets that Prometheus does not read, or that it does not know."""
    found = {each["labels"]["instance"]: each for each in asked(stack, "targets?state=active")["activeTargets"]}
    away = [
        f"{name} is {each['health']}: {each['lastError']}" for name, each in found.items() if each["health"] != "up"
    ]
    return away + [
        f"{name} is no target of {job}"
        for name, job in JOBS.items()
        if name not in found or found[name]["labels"]["job"] != job
    ]


def test_every_service_becomes_healthy(stack):
    states = stack.states()
    assert {name: states[name] for name in stack.services} == dict.fromkeys(stack.services, ("healthy", 0))


def test_control_prometheus_reads_every_process_and_sees_one_that_is_stopped(stack, control):
    assert still(lambda: not_read(stack), SECONDS) == []
    control.holds(not_read, stack)
    stack("stop", "schedule-2")
    wait_for(lambda: not_read(stack), "the target to be down", SECONDS)
    control.objects(not_read, stack, damage="schedule-2:9466 is down")
    stack("start", "schedule-2")
    assert still(lambda: not_read(stack), SECONDS) == []


def test_every_rule_is_loaded_and_can_be_evaluated(stack):
    groups = [
        group
        for file in (ROOT / "monitoring/alerts").glob("*.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    written = sorted(rule.get("alert") or rule["record"] for group in groups for rule in group["rules"])

    def evaluated():
        rules = [rule for group in asked(stack, "rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] == "ok" for rule in rules) else None

    rules = wait_for(evaluated, "every rule to be evaluated", SECONDS)
    assert sorted(rule["name"] for rule in rules) == written


def test_an_alert_reaches_alertmanager(stack):
    assert [each["url"] for each in asked(stack, "alertmanagers")["activeAlertmanagers"]] == [
        "http://alertmanager:9093/api/v2/alerts"
    ]

    def names():
        return {
            each["labels"]["alertname"] for each in json.loads(answer(stack, "http://alertmanager:9093/api/v2/alerts"))
        }

    wait_for(lambda: "Watchdog" in names(), "the alert that never ends", SECONDS)


def test_prometheus_serves_the_dashboard_and_the_runbook(stack):
    for page in ("correnteza", "runbook"):
        assert "<html" in answer(stack, f"http://prometheus:9090/consoles/{page}.html"), page
