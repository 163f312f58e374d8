"""What the benchmarks share: the cost of a process tree, the spread of several runs, one way to print a result."""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

SAMPLE_SECONDS = 0.2
MEMORY_SECONDS = 0.5
"""Between two looks at the memory: the kernel walks through all pages of a process for one."""
RESULTS = Path("var") / "benchmarks"
RUNS = 3
"""Of each measurement, where a benchmark does not say otherwise: the fewest that have a median."""


@dataclass(frozen=True)
class Cost:
    """CPU-seconds (user and system) and peak memory of a process and all below it.

    Memory is what is resident; a page that several processes share counts once (PSS, proc(5)).
    """

    cpu_seconds: float
    peak_bytes: int


class TreeMeter:
    """Adds up what a process tree uses while the `with` block runs.

    CPU of a process that ended between two samples counts up to its last sample. Peak memory is that of the sum, at the
    sampling moments.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._root = psutil.Process(pid)
        self._cpu: dict[tuple[int, float], float] = {}
        self._peak = 0
        self._memory_due = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "TreeMeter":
        self._sample()
        self._before = dict(self._cpu)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._sample()

    @property
    def cost(self) -> Cost:
        """What was used since the block began."""
        used = sum(seconds - self._before.get(process, 0.0) for process, seconds in self._cpu.items())
        return Cost(cpu_seconds=used, peak_bytes=self._peak)

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        try:
            tree = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                times = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = times.user + times.system
        if time.monotonic() >= self._memory_due:
            self._peak = max(self._peak, sum(_pss(process.pid) for process in tree))
            self._memory_due = time.monotonic() + MEMORY_SECONDS


def _pss(pid: int) -> int:
    """Bytes; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def run_candidate(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run one candidate as `python -m module arguments…` and read the JSON object on its last line of output."""
    result: dict[str, Any] = json.loads(timed(["-m", module, *arguments], environment)[1].strip().splitlines()[-1])
    return result


def timed(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, str]:
    """Run Python with these arguments: the seconds, the interpreter's start and its imports among them, and its output.

    Raises:
        RuntimeError: it failed; what it wrote to stderr has been passed on.
    """
    began = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if finished.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {finished.returncode}: {finished.stdout[-2000:]}")
    return seconds, finished.stdout


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """What several runs gave, as columns of a table: the median, the least and the greatest."""
    return {name: statistics.median(values), f"{name}_least": min(values), f"{name}_greatest": max(values)}


def together(runs: Sequence[Sequence[Mapping[str, Any]]], *spreads: str) -> list[dict[str, Any]]:
    """The rows of several runs, each with the same candidates in the same order, as one table of medians.

    Args:
        spreads: figures of which the least and the greatest are shown too.
    """
    rows = []
    for of_one in zip(*runs, strict=True):
        row: dict[str, Any] = {}
        for name, first in of_one[0].items():
            values = [each[name] for each in of_one]
            if name in spreads:
                row |= spread(name, values)
            else:
                row[name] = first if isinstance(first, str) or len(set(values)) == 1 else statistics.median(values)
        rows.append(row)
    return rows


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def report(name: str, title: str, rows: Iterable[Mapping[str, Any]], notes: Sequence[str] = ()) -> None:
    """Print the rows as a table and write them as JSON below `var/benchmarks`."""
    rows = list(rows)
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if column == "candidate" else "right")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    console = Console(stderr=False, width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for note in notes:
        console.print(f"  {note}", highlight=False)
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps({"benchmark": name, "machine": machine(), "rows": rows, "notes": list(notes)}, indent=1))
    print(f"  JSON: {file}")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
