"""Every alert fires when it should, ends when it should, and is inactive otherwise: the shipped files, by promtool."""

import re
from dataclasses import replace

import pytest

from correnteza.cli import VERBS
from monitoring.metrics.catalogue import CATALOGUE
from tests.helpers import ROOT
from tests.monitoring.alerts import promtool
from tests.monitoring.alerts.cases import CASES, HEALTHY, Case

NAMES = [rule.name for rule in promtool.rules()]
RUNBOOK = ROOT / "docs/runbook.md"


def test_promtool_accepts_the_rules():
    done = promtool.run("check", "rules", *promtool.RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_healthy_pipeline_fires_no_alert(tmp_path):
    healthy = Case("Watchdog", "healthy for ten hours", {}, tuple(range(0, 600, 5)))
    assert promtool.objections(tmp_path, promtool.RULES, [healthy]) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_a_case_that_fires_one_that_ends_and_one_that_does_not_fire(name):
    own = [case for case in CASES if case.alert == name]
    fires = any(case.firing for case in own)
    if name == "Watchdog":
        assert fires
        return
    ends = any(case.firing and case.silent and max(case.silent) > max(case.firing) for case in own)
    silent = any(not case.firing for case in own)
    assert (fires, ends, silent) == (True, True, True)


def never(rule):
    return {**rule, "expr": "vector(1) > 1"}


def always(rule):
    return {**rule, "expr": "vector(1)"}


def changed_to(change):
    """The shipped files with every rule changed, without its waiting time."""
    documents = promtool.documents()
    for document in documents.values():
        for group in document["groups"]:
            group["rules"] = [
                {name: value for name, value in change(rule).items() if name in {"alert", "expr", "labels"}}
                for rule in group["rules"]
            ]
    return documents


@pytest.mark.parametrize("file", [file.name for file in promtool.RULES])
def test_control_every_case_goes_as_it_says_and_sees_a_rule_that_fires_never_or_always(tmp_path, control, file):
    """The alerts of one file at a time, so that processes can share the work; all rules are there each time."""
    said = []

    def found(files, cases):
        said[:] = promtool.objections(tmp_path, files, cases)
        return said

    names = {rule.name for rule in promtool.rules() if rule.file.name == file}
    own = [case for case in CASES if case.alert in names]
    control.holds(found, promtool.RULES, own)
    for change, asked in ((never, "firing"), (always, "silent")):
        first = {case.alert: case for case in reversed(own) if getattr(case, asked)}
        cases = [
            replace(case, **{"firing": (), "silent": (), asked: getattr(case, asked)[:1]}) for case in first.values()
        ]
        changed = promtool.written(tmp_path / change.__name__, changed_to(change))
        control.objects(found, changed, cases, damage="count(ALERTS{alertname=")
        unseen = [case.alert for case in cases if not any(f'alertname=\\"{case.alert}\\"' in each for each in said)]
        assert unseen == []


def test_alerts_have_one_of_three_severities_and_say_what_whom_and_where():
    for rule in promtool.rules():
        assert rule.content["labels"] == {"severity": rule.severity}
        assert rule.severity in {"page", "ticket", "none"}
        annotations = rule.content["annotations"]
        assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}, rule.name
        assert "$value" in annotations["description"], rule.name
        assert annotations["runbook_url"] == f"{{{{ $externalURL }}}}/consoles/runbook.html#{rule.name}"


def test_annotations_are_rendered_with_labels_and_value(tmp_path):
    """promtool prints what it got when nothing is expected: templates are filled, every description has a number."""
    firing = {case.alert: case for case in reversed(CASES) if case.firing}
    suites = []
    for rule in promtool.rules():
        case = firing[rule.name]
        (alone,) = promtool.written(
            tmp_path, {f"{rule.name}.yml": {"groups": [{"name": "a", "rules": [rule.content]}]}}
        )
        test = promtool.inputs(case) | {
            "alert_rule_test": [{"eval_time": f"{case.firing[0]}m", "alertname": rule.name, "exp_alerts": []}],
        }
        suite = {"rule_files": [str(alone)], "evaluation_interval": "1m", "tests": [test]}
        suites += promtool.written(tmp_path / "suites", {f"{rule.name}.yml": suite})
    said = promtool.run("test", "rules", *suites)
    got = dict(re.findall(r"alertname: (\w+), time.*?got:(.*?\])\s*$", said.stdout + said.stderr, re.S | re.M))
    assert sorted(got) == sorted(NAMES)
    for name, text in got.items():
        (description,) = re.findall(r'description="(.*?)", ', text)[:1]
        assert re.search(r"\d", description), description
        assert "no value" not in text
        assert "error expanding" not in text, text
        assert "{{" not in text
        assert f'runbook_url="{promtool.EXTERNAL_URL}/consoles/runbook.html#{name}"' in text


def test_rules_and_cases_use_metrics_of_the_catalogue_only():
    names = {metric.full_name for metric in CATALOGUE}
    text = "\n".join(rule.content["expr"] for rule in promtool.rules())
    used = set(re.findall(r"correnteza_\w+", text)) | {re.match(r"\w+", series).group() for series in HEALTHY} - {"up"}
    assert used - names == set()


def headings(page: str) -> list[str]:
    """Alerts that a runbook has a heading for."""
    return re.findall(r"^### (\w+)$", page, flags=re.MULTILINE)


def differences(page: str) -> list[str]:
    """What the runbook and the rules do not have in common."""
    found = headings(page)
    return [f"no heading for {name}" for name in NAMES if name not in found] + [
        f"no alert {name}" for name in found if found.count(name) > 1 or name not in NAMES
    ]


def test_the_runbook_has_one_heading_for_each_alert_and_no_other():
    assert differences(RUNBOOK.read_text()) == []


def test_control_the_runbook_s_check_sees_what_is_missing_and_what_is_too_much(control):
    page = RUNBOOK.read_text()
    control.holds(differences, page)
    control.objects(differences, page.replace("### PartDown\n", ""), damage="no heading for PartDown")
    control.objects(differences, page + "\n### SunSets\n", damage="no alert SunSets")


def test_the_runbook_says_of_each_alert_what_it_means_what_to_do_and_when_it_is_a_page():
    sections = re.split(r"^### ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        name = section.partition("\n")[0]
        for part in ("**Means.**", "**Look.**", "**Do.**", "**Wake.**"):
            assert part in section, f"{name} lacks {part}"


def test_the_runbook_names_verbs_that_exist():
    verbs = set(VERBS)
    named = set(re.findall(r"`correnteza ([a-z-]+)", RUNBOOK.read_text()))
    assert named - verbs == set()
