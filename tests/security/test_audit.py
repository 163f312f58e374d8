"""Commands that remove something or make a final decision write an audit line first."""

import ast
import json

import pytest

from correnteza import audit
from correnteza.settings import Settings
from tests.helpers import ROOT, UNMODIFIED, run_to_its_end

COMMANDS = ROOT / "correnteza" / "commands"


def test_maintain_leaves_a_line_and_a_dry_run_none(tmp_path):
    settings = Settings(home=tmp_path / "home")
    run_to_its_end(settings, tmp_path, UNMODIFIED, ["maintain", "--dry-run"], {})
    assert not (settings.home / "audit.jsonl").exists()
    done = run_to_its_end(settings, tmp_path, UNMODIFIED, ["maintain"], {})
    (line,) = (settings.home / "audit.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["verb"], said["on"], said["by"]) == ("maintain", "every table", audit.user())
    assert '"event": "command_audited"' in done.stderr


def test_lines_are_appended_and_hold_no_secret(tmp_path):
    settings = Settings(home=tmp_path)
    for note in ("http://user:canary@host", "a\x1b[2J"):
        audit.record(settings, "dead-letters discard", "topic/0/1", note=note)
    text = (tmp_path / "audit.jsonl").read_text()
    assert len(text.splitlines()) == 2
    assert "canary" not in text
    assert "\x1b" not in text


def test_what_cannot_be_noted_is_not_done(tmp_path):
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(OSError, match="audit"):
        audit.record(Settings(home=tmp_path), "maintain", "every table")


def unaudited(sources):
    """The oracle: commands that ask before they decide for good, or remove files, and leave no line."""
    return [
        f"{name} decides for good and leaves no line"
        for name, text in sources.items()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef)
        and any(word in ast.unparse(function) for word in ("confirm(", "unneeded_payloads.remove("))
        and "audit.record(" not in ast.unparse(function)
    ]


def test_control_every_command_that_decides_for_good_leaves_a_line(control):
    sources = {file.name: file.read_text() for file in COMMANDS.glob("*.py")}
    control.holds(unaudited, sources)
    without = {name: text.replace("audit.record(", "print(") for name, text in sources.items()}
    damage = (
        "checkpoint.py decides for good",
        "withdrawals.py decides",
        "dead_letters.py decides",
        "maintain.py decides",
        "rebuild.py decides",
    )
    control.objects(unaudited, without, damage=damage)
