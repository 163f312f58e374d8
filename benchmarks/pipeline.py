"""The whole always-on pipeline under a benchmark: `correnteza up` on recorded publications, and what it costs at rest.

Everything is as `up` runs it by default. Its sources are a local server of recorded answers, its clock begins on the
day when they were recorded: the schedule finds its slots due, publishes them once, and has nothing to do afterwards.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.driving import STOP_SECONDS, wait
from benchmarks.harness import RESULTS, TreeMeter
from correnteza.demo import recorded_at
from correnteza.settings import Settings
from foundation import clock
from replay.server import DAYS, serve
from schemas.contracts import CANARY_TABLE

ALL = ("broker", "registry", "stream", "schedule", "monitor")
START_SECONDS = 300
QUIET_SECONDS = 150
"""So long no query may commit a batch: then the first publications have passed every layer, and queries rest."""
SETTLE_SECONDS = 1500


@contextlib.contextmanager
def pipeline(*components: str) -> Iterator[tuple[Settings, "subprocess.Popen[bytes]"]]:
    """`correnteza up` with these components in a home of its own, while the block runs."""
    with tempfile.TemporaryDirectory() as folder, serve(day=DAYS[-1]) as replay:
        home = Path(folder)
        variables = {
            "CORRENTEZA_HOME": str(home),
            "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
            clock.VARIABLE: f"{recorded_at(replay.day).isoformat()}@1@{time.time()}",
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        with (RESULTS / "pipeline.log").open("wb") as log:
            up = subprocess.Popen(
                [sys.executable, "-m", "correnteza", "up", *components],
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )
            try:
                wait((home / "run" / "endpoints.json").exists, "broker and registry", START_SECONDS)
                yield Settings(home=home), up
            finally:
                up.terminate()
                try:
                    up.wait(timeout=STOP_SECONDS + 60)
                except subprocess.TimeoutExpired:
                    up.kill()
                    up.wait()


def settle(home: Path) -> None:
    """Wait until every layer holds the first publications. Raises: TimeoutError."""
    last_commit, since = "", time.monotonic()

    def is_quiet() -> bool:
        nonlocal last_commit, since
        newest = max((str(each) for each in _commits(home)), default="")
        if newest != last_commit:
            last_commit, since = newest, time.monotonic()
        return bool(newest) and time.monotonic() > since + QUIET_SECONDS

    wait(is_quiet, "the first publications in every layer", SETTLE_SECONDS)


def costs(
    up: "subprocess.Popen[bytes]", home: Path, seconds: float, meanwhile: Callable[[], object] | None = None
) -> list[dict[str, Any]]:
    """Percent of one core and MB at most, of the whole and of each component, over so many seconds.

    Args: meanwhile: called once, and expected to take that long; without it nothing is done.
    """
    pids = {"all": up.pid} | {
        name: pid for name, (pid, _) in json.loads((home / "run" / "children.json").read_text()).items()
    }
    with contextlib.ExitStack() as stack:
        meters = {name: stack.enter_context(TreeMeter(pid)) for name, pid in pids.items() if psutil.pid_exists(pid)}
        began = time.monotonic()
        if meanwhile is not None:
            meanwhile()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        took = time.monotonic() - began
    return [
        {
            "candidate": name,
            "core_percent": 100 * meter.cost.cpu_seconds / took,
            "peak_mb": meter.cost.peak_bytes / 1e6,
        }
        for name, meter in meters.items()
    ]


def _commits(home: Path) -> Iterator[tuple[float, str]]:
    for log in (home / "checkpoints").glob("*/g*/commits"):
        if log.parents[1].name.endswith(CANARY_TABLE):
            continue  # it never comes to rest
        with contextlib.suppress(FileNotFoundError):
            yield log.stat().st_mtime, str(log)
