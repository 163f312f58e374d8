"""The top-level help lists exit codes and settings; the shell completes verbs without loading them."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from correnteza import cli
from correnteza.settings import Settings
from foundation import errors


def help_text() -> str:
    told: str = CliRunner().invoke(cli.app, ["--help"]).stdout
    return told


def test_help_names_every_exit_code_of_an_error():
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert {str(each.exit_code) for each in kinds} <= cli.EXIT_CODES.keys()
    told = " ".join(help_text().split())
    assert [code for code, meaning in cli.EXIT_CODES.items() if f" {code} {meaning} " not in f"{told} "] == []


def test_help_names_every_setting():
    assert list(cli.SETTINGS) == list(Settings.model_fields)
    assert [name for name in cli.SETTINGS if f"CORRENTEZA_{name.upper()}" not in help_text().split()] == []


def test_the_form_of_log_lines_is_one_of_two(monkeypatch):
    chosen = []
    monkeypatch.setattr(cli.log, "configure", lambda **named: chosen.append(named["form"]))
    for form in ("json", "console"):
        CliRunner().invoke(cli.app, ["--log-format", form, "down", "--help"])
    assert chosen == ["json", "console"]
    assert CliRunner().invoke(cli.app, ["--log-format", "xml", "down"]).exit_code == 2


def complete(words: str, index: int) -> subprocess.CompletedProcess[str]:
    """What the shell's script asks, with the modules that answering loaded on stderr."""
    variables = {"_CORRENTEZA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(index)}
    code = (
        "import sys\n"
        "sys.argv[0] = 'correnteza'\n"
        "from correnteza.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def test_the_shell_completes_verbs_without_loading_them():
    found = complete("correnteza s", 1)
    assert found.stdout.split() == [verb for verb in cli.VERBS if verb.startswith("s")]
    loaded = found.stderr.split()
    assert "correnteza.cli" in loaded
    assert [each for each in loaded if each.startswith(("correnteza.commands.", "pyspark"))] == []


def test_the_shell_completes_the_options_and_verbs_of_a_verb():
    assert "--csv" in complete("correnteza query --", 2).stdout.split()
    assert complete("correnteza config ", 2).stdout.split() == ["show", "validate"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_show_completion_prints_a_script_that_asks_us(shell):
    code = "import sys; sys.argv[0] = 'correnteza'; from correnteza.cli import main; main()"
    told = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the option then takes the shell's name
    found = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", shell],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert f"_CORRENTEZA_COMPLETE=complete_{shell}" in found.stdout
