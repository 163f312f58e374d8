"""`make bench-rebuild`: a silver dataset is rebuilt while rows arrive and a driver keeps the live tables up to date.

Measured: rows a second of the shadow, as the rebuild says them; latency of live silver before it and during it, from
produce to the first version of revisions that shows a row; how long the swap takes, by the state of the rebuild; and
the disk that the shadow takes beside the table. The driver runs every layer with its default settings.

The rows that are there before come by `correnteza run all --once`, whose CPU is measured too, and the bytes that they
take in Kafka and in each layer: unit costs of docs/scale.md.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from benchmarks.driving import COMMAND, driver, environment, wait
from benchmarks.harness import RESULTS, TreeMeter, machine, report
from benchmarks.latency import produced_in
from benchmarks.station_hours import Load
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas.contracts import load_all
from schemas.registry import prove_compatibility

QUERY = "silver.inmet_hourly"
REVISIONS = "silver/inmet_hourly_revisions"
DRAIN_SECONDS = 900


def main() -> None:
    """Fill, measure, rebuild, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="that bronze holds before")
    parser.add_argument("--rate", type=int, default=200, help="rows a second that arrive")
    parser.add_argument("--seconds", type=int, default=60, help="of latency before the rebuild")
    arguments = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        settings = Settings(home=Path(folder))
        stack = cleanup.enter_context(Stack(settings))
        settings = settings.model_copy(update=stack.endpoints)
        topics.apply(settings.bootstrap, load_all().values(), "")
        prove_compatibility(settings.registry)
        load = Load(settings, arguments.rate)
        load.stations()
        load.fill(arguments.rows)
        RESULTS.mkdir(parents=True, exist_ok=True)
        backlog = _ingested(settings, arguments.rows)
        cleanup.enter_context(driver(settings, RESULTS / "rebuild-driver.log", {}))
        quiet = load.run(arguments.seconds)
        rebuilt = Rebuilding(settings)
        rebuilt.start()
        spans = []
        while rebuilt.is_alive():
            spans.append(load.run(5))
        last = load.run(5)[1]
        expected = arguments.rows + (arguments.seconds + 5 * len(spans) + 5) * arguments.rate
        wait(lambda: _rows(settings) >= expected, "the rows that came meanwhile", DRAIN_SECONDS)
        rows = [
            _measured(settings, "before", *quiet),
            _measured(settings, "during the rebuild", spans[0][0], last),
        ]
    notes = (
        *backlog,
        f"{arguments.rows:,} rows, then {arguments.rate} a second; every layer in one driver, default settings",
        f"shadow: {rebuilt.rows:,} rows in {rebuilt.seconds:.1f} s, {rebuilt.rows / rebuilt.seconds:,.0f} a second, "
        f"{rebuilt.cpu_seconds:.1f} CPU s until the end of the command",
        f"swap: {rebuilt.swapped:.2f} s from the state `swapping` to `swapped`",
        f"shadow tables: {rebuilt.bytes / 1e6:,.0f} MB at most, beside {rebuilt.live_bytes / 1e6:,.0f} MB",
        f"machine: {before}",
    )
    report("rebuild", "produce → visible in silver's revisions, seconds", rows, notes)


class Rebuilding(threading.Thread):
    """`correnteza rebuild`, watched.

    Attributes:
        rows, seconds: of the shadow's first reading.
        cpu_seconds: of the whole command, the JVM's start, the comparison and the wait for the swap among it.
        swapped: seconds from the first look that found the swap begun to the first that found it done.
        bytes, live_bytes: of the shadow at most, and of the live tables before.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.rows, self.seconds, self.cpu_seconds, self.swapped, self.bytes = 0, 0.0, 0.0, 0.0, 0
        self.live_bytes = sum(_size(settings.lake_root / "silver" / each) for each in ("inmet_hourly", REVISIONS[7:]))

    def run(self) -> None:
        """Raises: RuntimeError when the rebuild fails; the main thread then waits in vain, and says so."""
        command = [sys.executable, "-m", "correnteza", "rebuild", QUERY, "--yes"]
        process = subprocess.Popen(
            command, env=environment(self._settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        state = self._settings.checkpoints / "rebuild" / QUERY / "state.json"
        began = 0.0
        with TreeMeter(process.pid) as meter:
            while process.poll() is None:
                self.bytes = max(self.bytes, _size(self._settings.lake_root / "rebuild"))
                with contextlib.suppress(OSError, ValueError):
                    phase = json.loads(state.read_text())["phase"]
                    if phase == "swapping":
                        began = began or time.monotonic()
                    elif phase == "swapped" and began and not self.swapped:
                        self.swapped = time.monotonic() - began
                time.sleep(0.02)
        self.cpu_seconds = meter.cost.cpu_seconds
        said = process.stdout.read() if process.stdout else ""
        found = re.search(r"([\d,]+) rows read in ([\d.]+) s", said)
        if process.returncode or found is None:
            raise RuntimeError(f"the rebuild ended with {process.returncode}: {said[-2000:]}")
        self.rows, self.seconds = int(found[1].replace(",", "")), float(found[2])


def _ingested(settings: Settings, rows: int) -> tuple[str, str]:
    """Bring every layer up to date once; what it cost, and what the rows take.

    Raises: CalledProcessError.
    """
    process = subprocess.Popen([*COMMAND, "--once"], env=environment(settings), stdout=subprocess.DEVNULL)
    began = time.monotonic()
    with TreeMeter(process.pid) as meter:
        if code := process.wait():
            raise subprocess.CalledProcessError(code, process.args)
    seconds, cpu = time.monotonic() - began, meter.cost.cpu_seconds
    kafka = _size(settings.home / "kafka", "inmet_hourly*/*.log")
    taken = {"Kafka": kafka} | {name: _size(settings.lake_root / name) for name in ("bronze", "silver", "gold")}
    return (
        f"backlog, every layer once: {rows:,} rows in {seconds:.1f} s, {cpu:.1f} CPU s, the JVM's start among it",
        "bytes a row: " + ", ".join(f"{name} {size / rows:.0f}" for name, size in taken.items()),
    )


def _rows(settings: Settings) -> int:
    path = str(settings.lake_root / REVISIONS)
    if not DeltaTable.is_deltatable(path):
        return 0
    return int(pc.sum(pa.table(DeltaTable(path).get_add_actions())["num_records"]).as_py() or 0)


def _size(folder: Path, pattern: str = "*.parquet") -> int:
    """Of the data files below a folder, of which some may go meanwhile."""
    total = 0
    with contextlib.suppress(OSError):
        for file in folder.rglob(pattern):
            total += file.stat().st_size
    return total


def _measured(settings: Settings, what: str, first: int, last: int) -> dict[str, Any]:
    """By the first version that shows a row: the swap brings rows that an earlier one has shown once more."""
    visible: dict[int, float] = {}
    for micros, at in produced_in(settings, REVISIONS, first, last):
        visible[micros] = min(at, visible.get(micros, at))
    latencies = pa.array([at - micros / 1e6 for micros, at in visible.items()])
    p50, p99 = pc.quantile(latencies, [0.5, 0.99]).to_pylist()
    return {"candidate": what, "rows": len(visible), "p50_s": p50, "p99_s": p99}


if __name__ == "__main__":
    main()
