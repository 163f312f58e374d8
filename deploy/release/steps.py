"""How the checks of a release run a command: without the settings of whoever calls them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str, within: Path = ROOT, home: Path | None = None) -> None:
    """Run a command to its end; a failure ends this process with exit code 1. Args: home: of correnteza."""
    if code := subprocess.run(command, cwd=within, env=environment(home), check=False).returncode:
        sys.exit(f"{' '.join(command)} ended with exit code {code}")


def environment(home: Path | None = None) -> dict[str, str]:
    """This process's variables without Python's and correnteza's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CORRENTEZA_", "PYTHON"))}
    return kept if home is None else {**kept, "CORRENTEZA_HOME": str(home)}
