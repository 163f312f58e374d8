"""`make upgrade-check FROM=v0.1.0`: this release continues what another one has begun.

The other release is checked out into a folder of its own, with an environment of its own. It runs `up --replay` until
its first publications are in gold. Then this release runs `up --replay` in the same home: its queries must continue
from those checkpoints, read what the next recorded days bring, and `verify --full` must hold.
"""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from deltalake import DeltaTable

from deploy.release.steps import ROOT, environment, run
from schemas.contracts import CANARY_TABLE

FIRST_DAY_ONLY, DAYS_PASS = "12h", "3m"
"""How long a replayed day takes: the other release only sees the first one."""
SETTLED_SECONDS = 90
"""So long no table of the data may change: then all that was published has reached gold."""
DEADLINE_SECONDS = 1800
STOP_SECONDS = 150


def main() -> None:
    """Run each step; the first that fails ends it with exit code 1 and says which."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", metavar="FROM", help="a tag or a commit")
    release = parser.parse_args().release
    with tempfile.TemporaryDirectory() as folder, _checkout(release, Path(folder, "release")) as other:
        own = Path(folder, "home")
        home = own / "replay"  # of `up --replay`
        run("make", "setup", within=other)
        with _up(other, own, FIRST_DAY_ONLY):
            _wait_until_settled(home, lambda: _rows(home, "gold/external_factors_daily") > 0)
        before, generations = _rows(home, "*/*"), _generations(home)
        print(f"{release}: {before:,} rows, {len(generations)} queries", flush=True)
        with _up(ROOT, own, DAYS_PASS):
            _wait_until_settled(home, lambda: _rows(home, "*/*") > before)
            for verb in (["doctor"], ["verify", "--full"]):
                run(sys.executable, "-m", "correnteza", *verb, home=home)
        after, now = _rows(home, "*/*"), _generations(home)
    if wrong := begun_anew(generations, now):
        sys.exit(f"began again instead of continuing: {', '.join(wrong)}")
    print(f"this release: {after:,} rows, {len(now)} queries; those of {release} continued, and verify holds")


def begun_anew(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Queries that are gone, or have another generation of their checkpoint."""
    return sorted(query for query, generation in before.items() if now.get(query) != generation)


@contextlib.contextmanager
def _checkout(release: str, folder: Path) -> Iterator[Path]:
    run("git", "worktree", "add", "--quiet", "--detach", str(folder), release)
    try:
        yield folder
    finally:
        run("git", "worktree", "remove", "--force", str(folder))


@contextlib.contextmanager
def _up(checkout: Path, home: Path, day_every: str) -> Iterator[None]:
    """`up --replay` of a checkout, while the block runs."""
    command = [str(checkout / ".venv/bin/python"), "-m", "correnteza", "up", "--replay", "--day-every", day_every]
    process = subprocess.Popen(command, cwd=checkout, env=environment(home))
    try:
        yield
        if process.poll() is not None:
            sys.exit(f"up of {checkout} has ended with exit code {process.returncode}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)


def _wait_until_settled(home: Path, has_begun: Callable[[], bool]) -> None:
    """Until a condition holds and no table of silver or gold has had a commit for a while."""
    deadline, last, since = time.monotonic() + DEADLINE_SECONDS, -1, time.monotonic()
    while time.monotonic() < since + SETTLED_SECONDS or not has_begun():
        if time.monotonic() > deadline:
            sys.exit(f"the tables of {home} did not come to rest in {DEADLINE_SECONDS} s")
        time.sleep(5)
        if (now := sum(len(list(log.glob("*.json"))) for log in _logs(home, "[sg]*/*"))) != last:
            last, since = now, time.monotonic()


def _rows(home: Path, tables: str) -> int:
    found = (DeltaTable(str(log.parent)).get_add_actions(flatten=True) for log in _logs(home, tables))
    return sum(sum(actions["num_records"].to_pylist()) for actions in found)


def _logs(home: Path, tables: str) -> Iterator[Path]:
    """Logs of tables; the canary's, which never rest, are left out."""
    found = (home / "lake").glob(f"{tables}/_delta_log")
    return (each for each in found if each.parent.name != CANARY_TABLE and each.parents[1].name != "ops")


def _generations(home: Path) -> dict[str, int]:
    guards = (home / "checkpoints").glob("*.*/guard.json")
    return {guard.parent.name: json.loads(guard.read_text())["generation"] for guard in guards}


if __name__ == "__main__":
    main()
