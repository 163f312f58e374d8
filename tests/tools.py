"""Prometheus, Alertmanager and Chromium for the tests: found on the machine, or Debian's packages unpacked into .tools.

`python -m tests.tools` (`make tools`) fetches the packages by apt-get, with lists and caches of its own: no root is
needed, and nothing of the machine changes. Where that is not possible it says so and ends well; the tests that need a
program are skipped then, each with what to install.

Prometheus and Alertmanager come as tests/tools.lock names them. Of Chromium Debian keeps the newest build alone, so a
lock would fail with its next one: it comes with what it needs and this machine lacks, as Debian's signed lists name it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
CHROMIUM = "chromium-headless-shell"
"""The package of a Chromium without windows. With what it needs it is 100 MB to fetch, and takes 300 MB."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""As machines call what may take its place."""
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


def browser() -> tuple[Path, dict[str, str]] | None:
    """A Chromium: the machine's, else what `make tools` installed. Returns: its file, and variables that it needs."""
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return Path(found), {}
    own = FOLDER / "chromium/usr"
    file = own / "lib/chromium" / CHROMIUM
    if not file.exists():
        return None
    libraries = sorted(folder for folder in (own / "lib").glob("*-linux-gnu*") if folder.is_dir())
    folders = [each for folder in libraries for each in (folder, folder / "pulseaudio")]
    return file, {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


def started_in(file: Path, otherwise: Path) -> Path:
    """The folder that a program has to be started in: what `make tools` installed finds its own files from there."""
    return FOLDER if file.is_relative_to(FOLDER) else otherwise


def install(folder: Path = FOLDER, lock: Path = LOCK) -> None:
    """Fetch, check and unpack what is missing. Raises: Unavailable; a file with another SHA-256 is refused."""
    with _alone(folder):
        stamp, wanted = folder / "installed", lock.read_text()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _require_apt()
        packages, machine = locked(lock), _run("dpkg", "--print-architecture").strip()
        if others := {each.architecture for each in packages} - {machine}:
            raise Unavailable(f"{lock.name} has packages for {', '.join(sorted(others))} only, this is {machine}")
        _fetch(folder, packages)
        for package in packages:
            _run("dpkg-deb", "-x", str(_checked(folder, package)), str(folder))
        _make_relative(folder)
        stamp.write_text(wanted)
        shutil.rmtree(folder / "apt")


def install_browser(folder: Path = FOLDER) -> None:
    """Fetch and unpack a Chromium, where there is none. Raises: Unavailable."""
    place, partial = folder / "chromium", folder / "chromium.partial"
    with _alone(folder):
        if browser() is not None:
            return
        shutil.rmtree(partial, ignore_errors=True)
        _require_apt()
        own = _own_lists(folder)
        would = _run("apt-get", *own, "--simulate", "--no-install-recommends", "install", CHROMIUM)
        names = [line.split()[1] for line in would.splitlines() if line.startswith("Inst ")]
        _run("apt-get", *own, "download", *names, cwd=folder / "apt/debs")
        for file in sorted((folder / "apt/debs").glob("*.deb")):
            _run("dpkg-deb", "-x", str(file), str(partial))
        partial.rename(place)
        shutil.rmtree(folder / "apt")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _require_apt() -> None:
    for needed in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(needed) is None:
            raise Unavailable(f"{needed} is not on this machine")


def _own_lists(folder: Path) -> tuple[str, ...]:
    """Bring lists of our own up to date. Returns: the options by which apt-get uses them."""
    apt = folder / "apt"
    for place in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / place).mkdir(parents=True, exist_ok=True)
    options = (f"Dir::State::lists={apt}/lists", f"Dir::Cache={apt}/cache", "APT::Sandbox::User=root")
    own = ("-qq", *(part for option in options for part in ("-o", option)))
    _run("apt-get", *own, "update")
    return own


def _fetch(folder: Path, packages: list[Package]) -> None:
    own = _own_lists(folder)
    names = (f"{each.name}={each.version}" for each in packages)
    _run("apt-get", *own, "download", *names, cwd=folder / "apt/debs")


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
    for wanted, tests in ((install, "alerts and dashboards"), (install_browser, "the status page in a browser")):
        try:
            wanted()
        except Unavailable as reason:
            print(f"tests of {tests} will be skipped: {reason}", file=sys.stderr)
