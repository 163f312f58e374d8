"""What a driver holds at one moment: memory, threads and open files of its processes, files in its folders."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_SETTLED_SECONDS = 1.0
"""A younger child may be a JVM that forks to run a command: for an instant a copy of it, memory and files included."""

_BOUNDED_POOLS = "block-manager-"
"""Two pools of Spark, of at most 100 threads each. Every block that is removed starts one more until they are full, so
that they grow for minutes and then no further. The kernel keeps 15 characters of a thread's name.
"""

LOG_LAYERS = ("ops", "bronze", "silver", "gold")


def census(pid: int, home: Path) -> dict[str, float]:
    """Series name → its value now.

    Args:
        pid: the driver's Python process; every Java below it counts as the JVM, everything else as Python.
        home: with `checkpoints`, `lake` and `spark` (Spark's scratch folder) in it.

    Raises:
        psutil.NoSuchProcess: the driver is gone.
    """
    return processes(pid) | folders(home)


def processes(pid: int) -> dict[str, float]:
    """Resident MB, threads (without Spark's bounded pools) and open files of Python and JVM.

    Raises:
        psutil.NoSuchProcess: the root is gone.
    """
    root, born_before = psutil.Process(pid), time.time() - _SETTLED_SECONDS
    found = {f"{kind}_{what}": 0.0 for kind in ("jvm", "python") for what in ("rss_mb", "threads", "open_files")}
    for process in [root, *root.children(recursive=True)]:
        try:
            if process != root and process.create_time() > born_before:
                continue
            with process.oneshot():
                kind = "jvm" if process.name() == "java" else "python"
                found[f"{kind}_rss_mb"] += process.memory_info().rss / 1e6
                found[f"{kind}_threads"] += _threads(process.pid)
                found[f"{kind}_open_files"] += process.num_fds()
        except psutil.NoSuchProcess:
            if process == root:
                raise
    return found


def _threads(pid: int) -> int:
    """Those outside the pools whose size Spark bounds."""
    count = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            count += not thread.read_text(errors="replace").startswith(_BOUNDED_POOLS)
        except OSError:  # it ended meanwhile
            continue
    return count


def folders(home: Path) -> dict[str, float]:
    """Files and MB below the checkpoints and the scratch folder; files of the tables' logs, by layer."""
    found: dict[str, float] = {}
    for name, folder in (("checkpoint", home / "checkpoints"), ("scratch", home / "spark")):
        sizes = list(_sizes(folder))
        found[f"{name}_files"] = len(sizes)
        found[f"{name}_mb"] = sum(sizes) / 1e6
    for layer in LOG_LAYERS:
        logs = (home / "lake" / layer).glob("*/_delta_log")
        found[f"{layer}_log_files"] = sum(len(list(_sizes(log))) for log in logs)
    return found


def _sizes(folder: Path) -> Iterator[int]:
    """Bytes of every file at any depth; one that goes meanwhile is left out."""
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
