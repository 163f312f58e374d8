"""What exists only for tests is refused under the production profile, wherever the profile is declared."""

import subprocess
import sys

import pytest

from correnteza.settings import Settings
from foundation import clock, failpoints
from tests.helpers import environment


@pytest.fixture
def command(tmp_path):
    """Run `correnteza schemas plan`, which needs a registry, with these variables and this correnteza.toml."""

    def run(toml: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "correnteza.toml").write_text(toml)
        return subprocess.run(
            [sys.executable, "-m", "correnteza", "schemas", "plan"],
            cwd=tmp_path,
            env=environment(Settings(home=tmp_path / "home"), variables),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize("variable", [failpoints.VARIABLE, clock.VARIABLE])
@pytest.mark.parametrize(("toml", "profile"), [('profile = "prod"', {}), ("", {"CORRENTEZA_PROFILE": "prod"})])
def test_an_armed_process_does_not_start_in_production(command, variable, toml, profile):
    refused = command(toml, **{variable: "after_produce:kill"}, **profile)
    assert refused.returncode == 3, refused.stderr
    assert f"unset {variable}" in refused.stderr.splitlines()[-1]


def test_control_outside_production_it_starts(command):
    started = command("", **{failpoints.VARIABLE: "after_produce:kill"})
    assert started.returncode == 4, started.stderr  # it comes as far as to miss the registry
