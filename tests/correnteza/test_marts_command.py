"""`correnteza marts` where dbt is not needed: what is missing, what did not change, what declarations give."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from correnteza.cli import app
from correnteza.company import require
from correnteza.marts import built, models
from correnteza.marts.sources import present
from foundation.errors import DependencyUnavailable, UsageError
from tests.company.lake import lake_of_marts
from tests.controls import differs


def test_control_the_models_and_sources_are_those_of_the_declarations(control):
    """If not: `make marts`."""

    def outdated(name: str, text: str) -> list[str]:
        return differs((models.PROJECT / name).read_text(encoding="utf-8") == text, True)

    for name, text in models.files().items():
        control.holds(outdated, name, text)
    text = models.files()["models/legacy/legacy_unified_v1.sql"].replace("> 5.3", "> 5.2")
    control.objects(outdated, "models/legacy/legacy_unified_v1.sql", text, damage="False instead of True")


def test_no_model_repeats_a_threshold_of_the_legacy():
    """They have one definition, in migration/."""
    own = [path for path in models.PROJECT.glob("models/*.sql") if path.parent.name != "legacy"]
    assert [path.name for path in own if "DATE '2024-01-01'" in path.read_text() or "> 5" in path.read_text()] == []


def test_without_the_environment_the_command_that_makes_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    with pytest.raises(DependencyUnavailable, match="dbt-no-such is not installed") as told:
        require("dbt-no-such")
    assert told.value.hint == "make company"
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".company"))
    (tmp_path / ".company/bin").mkdir(parents=True)
    (tmp_path / ".company/bin/python").touch()
    with pytest.raises(DependencyUnavailable):  # it is not started again in itself
        require("dbt-no-such")
    require("pyarrow")


def test_a_command_goes_on_in_the_environment_that_has_the_package(tmp_path):
    """Under the same process id, with the same arguments."""
    (tmp_path / ".company/bin").mkdir(parents=True)
    other = tmp_path / ".company/bin/python"
    other.write_text('#!/bin/sh\necho "$$ $*"\n')
    other.chmod(0o755)
    program = "import sys; sys.prefix = sys.argv.pop(1); from correnteza.company import require; require('no')"
    started = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / ".venv"), "marts", "build"], stdout=subprocess.PIPE, text=True
    )
    assert started.communicate()[0].split() == [str(started.pid), "-m", "correnteza", "marts", "build"]


def test_nothing_is_started_when_nothing_changed_or_nothing_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_HOME", str(tmp_path))
    empty = CliRunner().invoke(app, ["marts", "build"]).exception
    assert isinstance(empty, UsageError)
    assert "nothing that a mart reads" in str(empty)
    kit = lake_of_marts(tmp_path)
    (kit.lake / "marts").mkdir()
    (tmp_path / "marts").mkdir()
    noted = built.Built(built.hash_of(models.PROJECT), present(kit.lake))
    built.write(tmp_path / "marts/built.json", noted)
    assert built.read(tmp_path / "marts/built.json") == noted
    assert "nothing changed" in CliRunner().invoke(app, ["marts", "build"]).stdout
