"""An alert about a cause fires before those about its effects, and ends after them; otherwise there would be two
pages."""

import re

import pytest
import yaml

from tests.helpers import ROOT
from tests.monitoring.alerts.promtool import rules

SHIPPED = yaml.safe_load((ROOT / "deploy/prometheus/alertmanager.yml").read_text())
_MATCHER = re.compile(r"(\w+) (=~?) \"(.*)\"")


def minutes(text: str) -> float:
    """A duration of a rule."""
    return float(text[:-1]) * {"m": 1, "h": 60}[text[-1]]


def names(matchers: list[str]) -> list[str]:
    """The alerts that matchers name."""
    found = [_MATCHER.fullmatch(each) for each in matchers]
    (pattern,) = [each[3] for each in found if each is not None and each[1] == "alertname"]
    return pattern.split("|")


def too_short(settings: dict, alerts: dict[str, dict]) -> list[str]:
    """Pages that come before their cause, or outlast it."""
    found = []
    for rule in settings["inhibit_rules"]:
        for cause in names(rule["source_matchers"]):
            for effect in names(rule["target_matchers"]):
                first, second = alerts[cause], alerts[effect]
                if cause == effect or second["labels"]["severity"] != "page":
                    continue
                if minutes(first.get("for", "0m")) > minutes(second.get("for", "0m")):
                    found.append(f"{effect} comes before {cause}")
                if minutes(first.get("keep_firing_for", "0m")) < minutes(second.get("keep_firing_for", "0m")):
                    found.append(f"{effect} outlasts {cause}")
    return found


def alerts() -> dict[str, dict]:
    return {rule.name: rule.content for rule in rules()}


def test_every_inhibition_names_alerts_that_there_are():
    named = {
        name
        for rule in SHIPPED["inhibit_rules"]
        for name in names(rule["source_matchers"]) + names(rule["target_matchers"])
    }
    assert named - alerts().keys() == set()


def test_an_alert_about_data_loss_is_never_inhibited_by_one_about_a_stopped_query():
    kept_back = {
        effect: set(names(rule["source_matchers"]))
        for rule in SHIPPED["inhibit_rules"]
        for effect in names(rule["target_matchers"])
    }
    assert kept_back.get("RetentionMarginLow") == {"RecordsLost"}
    assert "RecordsLost" not in kept_back


@pytest.mark.parametrize(
    ("alert", "change", "said"),
    [
        ("TargetDown", {"keep_firing_for": "1m"}, "PipelineStalled outlasts TargetDown"),
        ("PartDown", {"for": "30m"}, "CanaryMissing comes before PartDown"),
    ],
)
def test_control_causes_come_first_and_stay_longest(control, alert, change, said):
    changed = alerts()
    control.holds(too_short, SHIPPED, changed)
    changed[alert] = {**changed[alert], **change}
    control.objects(too_short, SHIPPED, changed, damage=said)
