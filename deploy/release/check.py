"""`make release-check`: build the wheel, and run the demo with it in an environment that holds nothing else.

Leaves the wheel and its bill of materials in build/release.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from deploy.release import materials
from deploy.release.steps import ROOT, run

TO = ROOT / "build/release"
PACKAGES = ROOT / "deploy/containers/requirements.lock"
"""The lock without the tools of development."""


def main() -> None:
    """Run each step; the first that fails ends it with exit code 1 and its own words."""
    started = time.monotonic()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = str(declared["project"]["version"])
    if wrong := disagreements(
        version, (ROOT / "CHANGELOG.md").read_text(), _output("git", "tag", "--points-at", "HEAD")
    ):
        sys.exit("; ".join(wrong))
    shutil.rmtree(TO, ignore_errors=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(TO), str(ROOT))
    (wheel,) = TO.glob("*.whl")
    folders = [name.rstrip("*") for name in declared["tool"]["setuptools"]["packages"]["find"]["include"]]
    if missing := left_out(_output("git", "ls-files", *folders).splitlines(), zipfile.ZipFile(wheel).namelist()):
        sys.exit(f"the wheel lacks {', '.join(missing)}: [tool.setuptools.package-data] in pyproject.toml")
    named = materials.write(PACKAGES, TO / f"correnteza-{version}.cdx.json", version)
    print(f"{wheel.name}: {wheel.stat().st_size / 1024**2:.1f} MB; its bill of materials names {named} components")
    with tempfile.TemporaryDirectory() as folder:
        _demo(wheel, Path(folder))
    print(f"the wheel runs the demo in an environment of its own; {time.monotonic() - started:.0f} s")


def disagreements(version: str, changes: str, tags: str) -> list[str]:
    """Where the version differs: in the newest section of the change log, or in the commit's tags."""
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    found = [] if newest and newest[1] == version else [f"CHANGELOG.md does not begin with {version}"]
    return found + [f"the tag {tag} is not v{version}" for tag in tags.split() if tag != f"v{version}"]


def left_out(tracked: Iterable[str], held: Iterable[str]) -> list[str]:
    """Files of our packages that a wheel does not hold."""
    return sorted(set(tracked) - set(held))


def _demo(wheel: Path, folder: Path) -> None:
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", str(environment))
    pip = (str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--require-hashes", "--requirement", str(PACKAGES))
    run(*pip, "--no-deps", str(wheel))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    command = str(environment / "bin/correnteza")
    for verb in ("--version", "setup", "demo"):
        run(command, verb, within=elsewhere)


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
