"""Prometheus and Alertmanager for the tests: found on the machine, or Debian's packages unpacked into .tools.

`python -m tests.tools` (`make tools`) fetches the packages of tests/tools.lock by apt-get, with lists and caches of its
own: no root is needed, and nothing of the machine changes. Where that is not possible it says so and ends well; the
tests that need a program are skipped then, each with what to install.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers import ROOT

FOLDER = ROOT / ".tools"
LOCK = ROOT / "tests/tools.lock"
PROGRAMS = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
"""Program → the Debian package that holds it."""
OTHER_NAMES = {"prometheus-alertmanager": "alertmanager"}
"""As others than Debian call it."""
APT_SECONDS = 240


@dataclass(frozen=True)
class Package:
    """One line of the lock."""

    name: str
    version: str
    architecture: str
    sha256: str


class Unavailable(Exception):
    """A package cannot be had here, and why."""


def locked(lock: Path = LOCK) -> list[Package]:
    """What the lock names."""
    lines = [line.split() for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    return [Package(*place.split("=", 1), architecture, sha256) for place, architecture, sha256 in lines]


def program(name: str) -> Path:
    """The program's file: what `make tools` installed, else what the machine has. Skips the test when there is none."""
    if (own := FOLDER / "usr/bin" / name).exists():
        return own
    if found := shutil.which(name) or shutil.which(OTHER_NAMES.get(name, name)):
        return Path(found)
    return pytest.skip(f"no {name} here: make tools, or apt-get install {PROGRAMS[name]}")


def started_in(file: Path, otherwise: Path) -> Path:
    """The folder that a program has to be started in: what `make tools` installed finds its own files from there."""
    return FOLDER if file.is_relative_to(FOLDER) else otherwise


def install(folder: Path = FOLDER, lock: Path = LOCK) -> None:
    """Fetch, check and unpack what is missing. Raises: Unavailable; a file with another SHA-256 is refused."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stamp, wanted = folder / "installed", lock.read_text()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        for needed in ("apt-get", "dpkg", "dpkg-deb"):
            if shutil.which(needed) is None:
                raise Unavailable(f"{needed} is not on this machine")
        packages, machine = locked(lock), _run("dpkg", "--print-architecture").strip()
        if others := {each.architecture for each in packages} - {machine}:
            raise Unavailable(f"{lock.name} has packages for {', '.join(sorted(others))} only, this is {machine}")
        _fetch(folder, packages)
        for package in packages:
            _run("dpkg-deb", "-x", str(_checked(folder, package)), str(folder))
        _make_relative(folder)
        stamp.write_text(wanted)
        shutil.rmtree(folder / "apt")


def _fetch(folder: Path, packages: list[Package]) -> None:
    apt = folder / "apt"
    for place in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / place).mkdir(parents=True, exist_ok=True)
    own = (
        "-qq",
        "-o",
        f"Dir::State::lists={apt}/lists",
        "-o",
        f"Dir::Cache={apt}/cache",
        "-o",
        "APT::Sandbox::User=root",
    )
    _run("apt-get", *own, "update")
    _run("apt-get", *own, "download", *(f"{each.name}={each.version}" for each in packages), cwd=apt / "debs")


def _checked(folder: Path, package: Package) -> Path:
    """The package's file. Raises: Unavailable when it is another one than the lock names."""
    (file,) = (folder / "apt/debs").glob(f"{package.name}_*.deb")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != package.sha256:
        raise Unavailable(f"{file.name} has SHA-256 {found}, the lock names {package.sha256}")
    return file


def _make_relative(folder: Path) -> None:
    """Debian's Alertmanager looks for its templates in /usr/share: here below the folder that it is started in."""
    file = folder / "usr/bin/prometheus-alertmanager"
    if file.exists():
        file.write_bytes(file.read_bytes().replace(b"/usr/share/prometheus/alert", b"usr//share/prometheus/alert"))


def _run(*command: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=True, timeout=APT_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{command[0]} failed: {error.stderr.strip()[-500:]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not end in {APT_SECONDS} s") from None
    return done.stdout


if __name__ == "__main__":
    try:
        install()
    except Unavailable as reason:
        print(f"tests of alerts and dashboards will be skipped: {reason}", file=sys.stderr)
