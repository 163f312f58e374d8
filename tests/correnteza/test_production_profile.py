"""What exists only for tests is refused under the production profile, wherever the profile is declared."""

import subprocess

import pytest

from correnteza.settings import Settings
from foundation import clock, failpoints
from tests.helpers import UNMODIFIED, run_to_its_end


@pytest.fixture
def command(tmp_path):
    """Run `correnteza schemas plan`, which needs a registry, with these variables and this correnteza.toml."""

    def run(toml: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "correnteza.toml").write_text(toml)
        settings = Settings(home=tmp_path / "home")
        return run_to_its_end(settings, tmp_path, UNMODIFIED, ["schemas", "plan"], variables)

    return run


@pytest.mark.parametrize("variable", [failpoints.VARIABLE, clock.VARIABLE])
@pytest.mark.parametrize(("toml", "profile"), [('profile = "prod"', {}), ("", {"CORRENTEZA_PROFILE": "prod"})])
def test_an_armed_process_does_not_start_in_production(command, variable, toml, profile):
    refused = command(toml, **{variable: "after_produce:kill"}, **profile)
    assert refused.returncode == 3, refused.stderr
    assert f"unset {variable}" in refused.stderr.splitlines()[-1]


def test_control_outside_production_it_starts(command, control):
    def starts(toml: str) -> list[str]:
        """Whether an armed process gets as far as to miss its registry."""
        done = command(toml, **{failpoints.VARIABLE: "after_produce:kill"})
        return [] if done.returncode == 3 else [f"armed, and ended with {done.returncode}: {done.stderr}"]

    control.holds(starts, 'profile = "prod"')
    control.objects(starts, "", damage="armed, and ended with 4: error: no registry url is set")
