"""The shipped rules as data, and what promtool says of them."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.helpers import ROOT
from tests.monitoring.alerts.cases import Case
from tests.tools import program

RULES = sorted((ROOT / "monitoring/alerts").glob("*.yml"))
EXTERNAL_URL = "http://prometheus.example"


@dataclass(frozen=True)
class Rule:
    """One alert of the shipped files."""

    name: str
    file: Path
    content: dict[str, Any]

    @property
    def severity(self) -> str:
        return str(self.content["labels"]["severity"])


def documents() -> dict[str, dict[str, Any]]:
    """Each shipped file, parsed, by its name."""
    return {file.name: yaml.safe_load(file.read_text()) for file in RULES}


def rules() -> list[Rule]:
    """All alerts, in the order of the files."""
    return [
        Rule(rule["alert"], file, rule)
        for file in RULES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


def written(folder: Path, content: dict[str, dict[str, Any]]) -> list[Path]:
    """Rule files with this content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in content.items():
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    return [folder / name for name in content]


def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """promtool, to its end."""
    command = [program("promtool"), *map(str, arguments)]
    # Half of promtool's time goes into collecting the garbage of its many small databases.
    variables = {**os.environ, "GOGC": "off", "GOMEMLIMIT": "1GiB"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


def objections(folder: Path, files: Iterable[Path], cases: Iterable[Case]) -> list[str]:
    """What `promtool test rules` finds wrong: a line per case and minute, with the alert's name and the course."""
    cases = list(cases)
    tests = [
        inputs(case)
        | {
            "promql_expr_test": [
                *(_count(case.alert, minute, fires=True) for minute in case.firing),
                *(_count(case.alert, minute, fires=False) for minute in case.silent),
                *(_nothing_else(case, minute) for minute in (*case.firing, *case.silent)),
            ],
        }
        for case in cases
    ]
    suite = folder / "suite.yml"
    suite.write_text(
        yaml.safe_dump({"rule_files": [str(file) for file in files], "evaluation_interval": "1m", "tests": tests})
    )
    done = run("test", "rules", suite)
    if done.returncode == 0:
        return []
    lines = (done.stderr + done.stdout).splitlines()
    return [line.strip() for line in lines if "expr:" in line] or lines


def inputs(case: Case) -> dict[str, Any]:
    """What a unit test of promtool's is given for a case."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "external_url": EXTERNAL_URL,
    }


def _count(alert: str, minute: int, *, fires: bool) -> dict[str, Any]:
    """Whether at least one alert of the name fires."""
    expression = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


def _nothing_else(case: Case, minute: int) -> dict[str, Any]:
    """That no other alert fires but those that may."""
    names = "|".join((case.alert, "Watchdog", *case.others))
    expression = f'count by (alertname) (ALERTS{{alertname!~"{names}",alertstate="firing"}})'
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": []}
