"""Make .venv and install what requirements.lock pins, with only Python's standard library.

python3 -m correnteza.bootstrap                   `make setup`: the environment, the packages, this project
python3 -m correnteza.bootstrap --offline FOLDER  the same from FOLDER/wheels, without a network
python3 -m correnteza.bootstrap --fill FOLDER     `make wheelhouse`: put the packages into FOLDER/wheels

Each phase prints a line with its seconds when it is over. pip's output appears only if pip fails.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

PROJECT = Path(__file__).parent.parent
LOCK = PROJECT / "requirements.lock"
PYTHON = Path(".venv/bin/python")
UNAVAILABLE = 4
"""Exit code for a dependency that cannot be reached, as in foundation/errors.py."""

ALSO_BUILD = ("wheel",)
"""pip builds source packages with setuptools; older versions of both also need this."""

STORED = "[bdist_wheel]\ncompression = stored\n"
"""For setuptools: pyspark's 455 MB are jars, packed already; packing them again is most of what its build takes."""

_WORTH_A_LINE_MB = 10.0
_DOWNLOAD = re.compile(r"^\s*(?:Downloading|Using cached|Processing) (\S+)(?: \(([\d.]+) (kB|MB|GB|bytes)\))?")
_MEGABYTES = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_BUILD = re.compile(r"^\s*Building wheel for (\S+) ")
_SHOWN_AT_FAILURE = 15

PROXY_HINT = (
    "set HTTPS_PROXY=http://<host>:<port> to the proxy's address, or unset it; NO_PROXY names hosts to ask without one"
)

# pip's message → the fix. Network errors come first, because pip always ends with "no matching distribution".
HINTS = (
    (
        r"DO NOT MATCH THE HASHES|Hashes are required",
        "a file is not the one that requirements.lock names: look at where it came from (PIP_INDEX_URL); a wanted "
        "change of version goes through `make lock`",
    ),
    (r"ProxyError|Tunnel connection failed|Cannot connect to proxy|\b407\b", PROXY_HINT),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "set REQUESTS_CA_BUNDLE (the jars heed it too) or PIP_CERT to a PEM file with your network's certificates",
    ),
    (
        r"[Nn]ame ?[Rr]esolution|Name or service not known|nodename nor servname|NewConnectionError|ConnectTimeout"
        r"|ReadTimeout|Connection refused|Network is unreachable",
        "behind a proxy set HTTPS_PROXY; a mirror is set by PIP_INDEX_URL; without a network: make setup "
        "OFFLINE=<folder> (docs/setup.md)",
    ),
    (
        r"from versions: none",
        "no index was reached, or it does not have the package: behind a proxy set HTTPS_PROXY; for certificates of "
        "your network set REQUESTS_CA_BUNDLE; a mirror is set by PIP_INDEX_URL; `pip config list` shows what is set; "
        "without a network: make setup OFFLINE=<folder> (docs/setup.md)",
    ),
    (
        r"No matching distribution|Could not find a version|HTTP error 40[134]|\b40[134] Client Error",
        "the index does not have it, or refuses it: look at PIP_INDEX_URL and `pip config list`",
    ),
    (r"No space left", "free some space: set-up keeps 2 GB here, and pip builds pyspark in TMPDIR"),
)
OFFLINE_HINT = (
    "the folder was filled for another requirements.lock, Python or platform: `make wheelhouse FOLDER=…` again, where "
    "there is a network"
)


class PipFailed(Exception):
    """pip failed: its output, and the command or setting to try next."""

    def __init__(self, said: Sequence[str], hint: str) -> None:
        super().__init__("\n".join(said))
        self.hint = hint


def main() -> None:
    """Run the phases; if pip fails, show its last lines and the setting to try, and exit with 4."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--offline", type=Path)
    parser.add_argument("--fill", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.fill:
            fill(arguments.fill)
        else:
            install(arguments.offline)
    except PipFailed as error:
        print(f"{error}\nerror: pip could not get or install the packages\n  try: {error.hint}", file=sys.stderr)
        sys.exit(UNAVAILABLE)
    except KeyboardInterrupt:
        sys.exit(130)


def install(offline: Path | None) -> None:
    """Make .venv, put the packages of the lock into it, and this project itself.

    Raises: PipFailed.
    """
    wheels = (offline / "wheels").resolve() if offline else None
    if wheels and not wheels.is_dir():
        raise PipFailed([f"{wheels} is not there"], "make wheelhouse FOLDER=…, where there is a network")
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    with _phase("Python environment"):
        subprocess.run([sys.executable, "-m", "venv", ".venv"], check=True)
    packages = len(re.findall(r"^[\w.-]+==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    where = f"from {wheels}" if wheels else "about 0.8 GB, of which pyspark is 455 MB"
    _say(f"packages: up to {packages}, {where}; building and unpacking them takes longer than the download")
    locked = ["--require-hashes", "--requirement", str(LOCK)]
    with own_lines_of_pip() as alone:
        _pip(["install", *source, *locked[:-1], alone], "pip", is_offline=bool(wheels))
    # Of the packages' modules not even the tests import more than half: those are compiled at their first import.
    _pip(["install", "--no-compile", *source, *locked], "packages", is_offline=bool(wheels))
    _pip(["install", *source, "--no-deps", "--editable", "."], "this project", is_offline=bool(wheels))


@contextmanager
def own_lines_of_pip() -> Iterator[str]:
    """A file with the lock's lines of pip alone, to be installed first: the pip of Python 3.11 compares each file of an
    index with each of a thousand platforms, which takes longer than all the rest."""
    found = re.search(r"^pip==.*(?:\n +.*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requirements.txt"
        path.write_text(found[0], encoding="utf-8")
        yield str(path)


def fill(folder: Path) -> None:
    """Put the packages of the lock for this Python and platform, and what builds this project, into folder/wheels.

    Existing files with the lock's hash are kept. Raises: PipFailed.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    to = ["download", "--dest", str(wheels)]
    _pip([*to, "--require-hashes", "--requirement", str(LOCK)], "packages")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    _pip([*to, *project["build-system"]["requires"], *ALSO_BUILD], "what builds this project")


def follow(lines: Iterable[str]) -> Generator[str, None, str]:
    """Report pip's progress from its output: large files, and sources that are built.

    Returns: a summary: how many files and megabytes, and the seconds of fetching, building and unpacking.
    """
    files, megabytes = 0, 0.0
    phase, since = "fetching", time.monotonic()
    seconds: dict[str, float] = {}

    def turn(to: str) -> None:
        nonlocal phase, since
        now = time.monotonic()
        seconds[phase] = seconds.get(phase, 0.0) + now - since
        phase, since = to, now

    for line in lines:
        if found := _DOWNLOAD.match(line):
            size = float(found[2]) * _MEGABYTES[found[3]] if found[2] else 0.0
            files, megabytes = files + 1, megabytes + size
            if size >= _WORTH_A_LINE_MB:
                yield f"{Path(found[1]).name}, {size:.0f} MB …"
        elif (found := _BUILD.match(line)) and line.rstrip().endswith("started"):
            turn("building")
            yield f"building {found[1]} from its sources …"
        elif line.startswith("Installing collected packages"):
            turn("unpacking")
            if others := line.count(","):
                yield f"unpacking {others + 1} packages …"
    turn("over")
    parts = ", ".join(f"{name} {took:.0f} s" for name, took in seconds.items())
    return f"{files} files, {megabytes:.0f} MB downloaded; {parts}"


def hint(said: Iterable[str]) -> str:
    """The setting to try after a failure, from pip's output."""
    text = "\n".join(said)
    # pip names an address that does not answer, and not what it is.
    proxies = map(urlsplit, getproxies().values())
    if any(f"host='{each.hostname}', port={each.port})" in text for each in proxies):
        return PROXY_HINT
    return next((mends for words, mends in HINTS if re.search(words, text)), "see what pip said above")


def _pip(arguments: list[str], what: str, *, is_offline: bool = False) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    said: list[str] = []

    def kept(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            said.append(line.rstrip())
            yield line

    started = time.monotonic()
    with (
        _jars_as_they_are() as variables,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
        ) as process,
    ):
        assert process.stdout is not None
        following = follow(kept(process.stdout))
        while True:
            try:
                _say(f"{what}: {next(following)}")
            except StopIteration as end:
                summary = end.value
                break
    if process.returncode:
        raise PipFailed(said[-_SHOWN_AT_FAILURE:], OFFLINE_HINT if is_offline else hint(said))
    _say(f"{what}: {time.monotonic() - started:.1f} s ({summary})")


@contextmanager
def _jars_as_they_are() -> Iterator[dict[str, str]]:
    """The environment in which setuptools reads `STORED`, unless the user names a file of settings himself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "distutils.cfg"
        path.write_text(STORED, encoding="utf-8")
        yield {"DIST_EXTRA_CONFIG": str(path), **os.environ}


@contextmanager
def _phase(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    _say(f"{what}: {time.monotonic() - started:.1f} s")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
