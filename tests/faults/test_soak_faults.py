"""O11: nothing that a driver holds grows with the batches it has run; and the soak finds what does."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.census import census, processes
from benchmarks.slopes import Bound, slopes
from benchmarks.soak import BOUNDS, judge, soak, standing

MINUTES = 2.0
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


def broken(pid: int, batch: Callable[[str], None], leak: str) -> set[str]:
    """The series that are found to grow over 30 batches, one every 5 s of the soak's clock."""
    samples = []
    for number in range(30):
        batch(leak)
        samples.append({"seconds": number * 5.0, **processes(pid)})
    return {each.series for each in slopes(samples, BOUNDS, warm_up=10, young=True) if each.broken}


@pytest.mark.integration
@pytest.mark.fault
@pytest.mark.timeout(480)
def test_o11_threads_open_files_and_checkpoints_of_a_driver_stay_flat_under_load(tmp_path: Path) -> None:
    samples = soak(tmp_path, MINUTES, {})

    grown = [each for each in judge(samples, MINUTES) if each.broken]
    assert not grown
    assert not standing(samples)


@pytest.mark.fault
def test_o11_control_without_a_leak_the_same_process_is_found_flat(
    batches: tuple[int, Callable[[str], None]],
) -> None:
    assert broken(*batches, "nothing") == set()


@pytest.mark.fault
@pytest.mark.parametrize(("leak", "series"), [("thread", "python_threads"), ("file", "python_open_files")])
def test_o11_control_a_real_process_that_leaks_with_each_batch_is_found(
    batches: tuple[int, Callable[[str], None]], leak: str, series: str
) -> None:
    assert broken(*batches, leak) == {series}


@pytest.mark.fault
def test_o11_control_checkpoints_of_which_nothing_is_removed_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "bronze.inmet_hourly" / "g0" / "commits"
    folder.mkdir(parents=True)
    samples = []
    for number in range(120):
        (folder / str(number)).write_text("v1\n{}")
        samples.append({"seconds": number * 5.0, **census(os.getpid(), tmp_path)})

    assert samples[-1]["checkpoint_files"] == 120
    assert "checkpoint_files" in {each.series for each in slopes(samples, BOUNDS, warm_up=0, young=True) if each.broken}


def test_o11_a_rise_within_the_noise_is_no_growth_however_steep() -> None:
    bound = {"threads": Bound(per_hour=5, noise=12, reason="")}
    steep = [{"seconds": at * 5.0, "threads": 100.0 + at} for at in range(10)]
    long = [{"seconds": at * 5.0, "threads": 100.0 + at} for at in range(30)]

    assert not slopes(steep, bound, warm_up=0, young=True)[0].broken
    assert slopes(long, bound, warm_up=0, young=True)[0].broken


def test_o11_memory_is_judged_only_of_an_old_driver() -> None:
    rising = [{"seconds": at * 60.0, "jvm_rss_mb": 1000.0 + 50 * at} for at in range(30)]

    assert not slopes(rising, BOUNDS, warm_up=0, young=True)[0].broken
    assert slopes(rising, BOUNDS, warm_up=0, young=False)[0].broken


def test_o11_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="1 samples after the warm-up"):
        slopes([{"seconds": 0.0, "threads": 1.0}, {"seconds": 60.0, "threads": 1.0}], {}, warm_up=30, young=True)
