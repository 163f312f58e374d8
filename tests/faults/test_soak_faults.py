"""O11: the resources of a driver do not grow with the number of its batches; the soak test finds a leak."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.census import census, processes
from benchmarks.slopes import slope
from benchmarks.soak import COUNTED, JUDGED_BATCHES, WARM_UP_BATCHES, judge, judge_batches, short_soak, standing
from tests.controls import Control

LEAK = """
import sys, threading
kept = []
for line in sys.stdin:
    if line.strip() == "thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    elif line.strip() == "file":
        kept.append(open("/dev/null"))
    print("done", flush=True)
"""
LEAKING_DRIVER = """
import threading
from pyspark import SparkContext
from correnteza.cli import main
from stream_jobs.running import jobs

kept = []

def leak(name):
    if name == "batch.silver.inmet_hourly":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        kept.append(open("/dev/null"))
        pool = SparkContext._active_spark_context._jvm.java.util.concurrent.ScheduledThreadPoolExecutor(1)
        pool.prestartCoreThread()
        kept.append(pool)

jobs.failpoint = leak
main()
"""
"""A driver that leaves a thread of Python's, a thread of the JVM's and a file behind with each batch of one query."""


@pytest.fixture
def batches() -> Iterator[tuple[int, Callable[[str], None]]]:
    """A real process, and a function that makes it run one batch that leaks `thread`, `file` or `nothing`."""
    with subprocess.Popen(
        [sys.executable, "-c", LEAK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, said = process.stdin, process.stdout

        def batch(leak: str) -> None:
            print(leak, file=given, flush=True)
            assert said.readline() == "done\n"

        batch("nothing")
        yield process.pid, batch
        process.kill()


def growing(samples: list[dict[str, float]]) -> list[str]:
    """What grows with the batches, in words."""
    return [
        f"{each.series} grows by {each.per_unit:.2f} a batch, surely by {each.least:.2f}"
        for each in judge_batches(samples)
        if each.broken
    ]


def leaked(pid: int, batch: Callable[[str], None], leak: str) -> list[dict[str, float]]:
    """What a process holds after each batch."""
    samples = []
    for number in range(WARM_UP_BATCHES + 1, WARM_UP_BATCHES + JUDGED_BATCHES + 1):
        batch(leak)
        samples.append({"batches": float(number), **processes(pid), "checkpoint_files": 0.0})
    return samples


@pytest.mark.integration
@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_o11_threads_open_files_and_checkpoints_of_a_driver_stay_flat_under_load(tmp_path: Path) -> None:
    """Bronze alone: its batches are the quickest. All layers are checked below, beside a driver that leaks."""
    samples = short_soak(tmp_path, (sys.executable, "-m", "correnteza", "run", "bronze"), ("bronze.inmet_hourly",))

    assert growing(samples) == []
    assert standing(samples) == []


@pytest.mark.integration
@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(4500)
def test_o11_control_a_driver_that_leaves_a_thread_and_a_file_behind_with_each_batch_is_found(
    tmp_path: Path, control: Control
) -> None:
    control.holds(growing, short_soak(tmp_path / "sound"))
    leaking = short_soak(tmp_path / "leaking", (sys.executable, "-c", LEAKING_DRIVER, "run", "all"))
    control.objects(
        growing, leaking, damage=("python_threads grows by ", "python_open_files grows by ", "jvm_threads grows by ")
    )


@pytest.mark.fault
@pytest.mark.parametrize(
    ("leak", "damage"),
    [("thread", "python_threads grows by 1.00 a batch"), ("file", "python_open_files grows by 1.00 a batch")],
    ids=["thread", "file"],
)
def test_o11_control_a_real_process_that_leaks_with_each_batch_is_found(
    batches: tuple[int, Callable[[str], None]], leak: str, damage: str, control: Control
) -> None:
    control.holds(growing, leaked(*batches, "nothing"))
    found = leaked(*batches, leak)
    control.objects(growing, found, damage=damage)
    assert len(growing(found)) == 1, "nothing else grows"


@pytest.mark.fault
def test_o11_control_checkpoints_of_which_nothing_is_removed_are_found(tmp_path: Path, control: Control) -> None:
    def written(home: Path, kept: int) -> list[dict[str, float]]:
        """Samples of a query that keeps the notes of so many batches."""
        folder = home / "checkpoints" / "bronze.inmet_hourly" / "g0" / "commits"
        folder.mkdir(parents=True)
        samples = []
        for number in range(WARM_UP_BATCHES + JUDGED_BATCHES + 1):
            (folder / str(number)).write_text("v1\n{}")
            (folder / str(number - kept)).unlink(missing_ok=True)
            samples.append({"batches": float(number), **census(os.getpid(), home)})
        return [{**sample, **dict.fromkeys(set(COUNTED) - {"checkpoint_files"}, 0.0)} for sample in samples]

    control.holds(growing, written(tmp_path / "sound", kept=10))
    control.objects(growing, written(tmp_path / "all", kept=10_000), damage="checkpoint_files grows by 1.00 a batch")


def test_o11_what_comes_and_goes_hides_no_leak_and_is_none() -> None:
    """Pools of threads that come and go for a moment, more of them than a leak brings."""
    chance = random.Random(11)
    noisy = [{"batches": float(12 + at // 3), "jvm_threads": 400.0 + chance.choice((0, 0, 7, 25))} for at in range(90)]
    leaky = [sample | {"jvm_threads": sample["jvm_threads"] + sample["batches"]} for sample in noisy]

    assert growing(noisy) == []
    (found,) = growing(leaky)
    assert found.startswith("jvm_threads grows by 1.0")


def test_o11_a_driver_that_would_double_in_a_week_fails_the_long_form_and_a_slower_one_does_not() -> None:
    def hour(megabytes_an_hour: float) -> list[dict[str, float]]:
        chance = random.Random(3)
        return [
            {"seconds": at * 5.0, "jvm_rss_mb": 2_800 + megabytes_an_hour * at / 720 + chance.uniform(-3, 3)}
            for at in range(720)
        ]

    (grows,), (slow,) = judge(hour(40)), judge(hour(4))
    assert grows.broken
    assert grows.least < 40 < grows.most
    assert not slow.broken


def test_o11_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="2 samples after the warm-up"):
        slope("threads", [(0.0, 1.0), (1.0, 1.0)], 0.5)
