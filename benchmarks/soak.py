"""`make soak MINUTES=60`: a driver under steady load, and whether anything that it holds grows.

A real `correnteza run all`, over an embedded broker and registry in a temporary folder, gets 1,000 station-hours every
five seconds. As often, its memory, threads, open files, checkpoints and table logs are counted (those of broker and
registry are not). A third of the time, at most 25 minutes, is warm-up: caches and thread pools fill. A straight line
through what follows gives a slope an hour for each series. Exit code 1 when one is steeper than its bound, when the
driver ends, or when it stops writing. Below 10 minutes two thirds are warm-up, memory is shown but not judged, and
every layer is triggered every second, so that what leaks with a batch shows sooner. Nothing is kept.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.census import census
from benchmarks.driving import COMMAND, driver, wait
from benchmarks.harness import machine
from benchmarks.slopes import Bound, Samples, Slope, slopes
from benchmarks.station_hours import Load
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas import topics
from schemas.contracts import load_all
from schemas.registry import enforce_compatibility

SAMPLE_SECONDS = 5.0
LONGEST_WARM_UP_SECONDS = 25 * 60
YOUNG_MINUTES = 10
START_SECONDS = 240
LAYERS = {"bronze": "inmet_hourly", "silver": "inmet_hourly", "gold": "fact_weather_daily"}
"""The tables that the load reaches."""

BOUNDS = {
    "jvm_rss_mb": Bound(150, 100, "the heap is capped and so is the rest; the lake's file lists grow a little", False),
    "python_rss_mb": Bound(5, 5, "the interpreter holds no rows", False),
    "jvm_threads": Bound(5, 40, "pools and compiler threads come and go; a leak is one a batch"),
    "python_threads": Bound(1, 16, "one per query that calls back, a dozen of Arrow's pools; none per batch"),
    "jvm_open_files": Bound(10, 40, "files are open for the length of a read or a write"),
    "python_open_files": Bound(1, 6, "one connection to the JVM per thread that uses it"),
    "checkpoint_files": Bound(
        20, 80, "each query keeps its last 10 batches, 4 files each; older ones go a moment later"
    ),
}


def main() -> None:
    """Run, show progress, print the slopes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="of load, warm-up included (default: 60)")
    parser.add_argument("--json", action="store_true", help="print samples and slopes as JSON; progress goes to stderr")
    parser.add_argument(
        "--environment",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the driver alone, to compare two runs, such as MALLOC_ARENA_MAX=2",
    )
    arguments = parser.parse_args()
    variables = dict(each.split("=", 1) for each in arguments.environment)
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(Path(folder), arguments.minutes, variables)
    try:
        found = judge(samples, arguments.minutes)
    except ValueError as error:
        sys.exit(f"nothing to judge: {error}")
    complaints = [*(f"{each.series} grows" for each in found if each.broken), *standing(samples)]
    if arguments.json:
        slopes_found = [
            {**vars(each), "bound": each.bound and vars(each.bound), "broken": each.broken} for each in found
        ]
        json.dump(
            {"machine": machine(), "slopes": slopes_found, "complaints": complaints, "samples": samples}, sys.stdout
        )
        print()
    else:
        show(found, arguments.minutes)
        print("\n".join(complaints) or "nothing grows beyond its bound")
    sys.exit(1 if complaints else 0)


def soak(
    home: Path, minutes: float, variables: Mapping[str, str], command: Sequence[str] = COMMAND
) -> list[dict[str, float]]:
    """Samples of a driver under load, `SAMPLE_SECONDS` apart; they end early when the driver does.

    Args:
        variables, command: as `driving.driver`.
    """
    settings = Settings(home=home)
    intervals = {f"CORRENTEZA_{layer.upper()}_INTERVAL_SECONDS": "1" for layer in LAYERS if minutes < YOUNG_MINUTES}
    samples: list[dict[str, float]] = []
    with contextlib.ExitStack() as cleanup:
        stack = cleanup.enter_context(Stack(settings))
        settings = settings.model_copy(update=stack.endpoints)
        topics.apply(settings.bootstrap, load_all().values(), "")
        enforce_compatibility(settings.registry)
        load = Load(settings)
        load.stations()
        log = home / "soak-driver.log"
        running = cleanup.enter_context(driver(settings, log, intervals | dict(variables), command))
        gold = settings.lake / "gold" / LAYERS["gold"] / "_delta_log"
        wait(lambda: gold.exists() or running.poll() is not None, "the driver's gold table", START_SECONDS)
        began = time.monotonic()
        for second in ticks(began, minutes * 60):
            load.run(1)
            if running.poll() is not None:
                print(f"the driver ended with code {running.returncode}:\n{_tail(log)}", file=sys.stderr)
                break
            samples.append({"seconds": second, **batches(home), **census(running.pid, home)})
            tell(samples[-1], minutes)
    return samples


def ticks(began: float, seconds: float) -> Iterator[float]:
    """Seconds since the beginning, once every `SAMPLE_SECONDS`; a moment that was missed is not made up for."""
    while (now := time.monotonic() - began) < seconds:
        yield now
        time.sleep(SAMPLE_SECONDS - (time.monotonic() - began) % SAMPLE_SECONDS)


def batches(home: Path) -> dict[str, float]:
    """Batches that each loaded query has finished: a driver that stands still holds nothing that grows."""
    found = {}
    for layer, table in LAYERS.items():
        done = (home / "checkpoints" / f"{layer}.{table}").glob("g0/commits/*")
        found[f"{layer}_batches"] = float(max((int(file.name) for file in done if file.name.isdigit()), default=-1) + 1)
    return found


def judge(samples: Samples, minutes: float) -> list[Slope]:
    """The slopes after the warm-up. Raises: ValueError when there are too few samples."""
    young = minutes < YOUNG_MINUTES
    warm_up = minutes * 60 * 2 / 3 if young else min(minutes * 60 / 3, LONGEST_WARM_UP_SECONDS)
    return slopes(samples, BOUNDS, warm_up=warm_up, young=young)


def standing(samples: Samples) -> list[str]:
    """What stood still in the second half of the samples, in words."""
    middle, last = samples[len(samples) // 2], samples[-1]
    return [f"{layer} stands still" for layer in LAYERS if last[f"{layer}_batches"] <= middle[f"{layer}_batches"]]


def tell(sample: Mapping[str, float], minutes: float) -> None:
    """One line of progress, on stderr."""
    done = "/".join(f"{sample[layer + '_batches']:.0f}" for layer in LAYERS)
    print(
        f"{sample['seconds'] / 60:6.1f} of {minutes:g} min"
        f" · MB JVM {sample['jvm_rss_mb']:,.0f}, Python {sample['python_rss_mb']:,.0f}"
        f" · threads {sample['jvm_threads']:.0f}+{sample['python_threads']:.0f}"
        f" · open files {sample['jvm_open_files']:.0f}+{sample['python_open_files']:.0f}"
        f" · checkpoint files {sample['checkpoint_files']:,.0f}"
        f" · batches {done}",
        file=sys.stderr,
        flush=True,
    )


def show(found: Sequence[Slope], minutes: float) -> None:
    """The table."""
    table = Table(title=f"{minutes:g} minutes of steady load, after the warm-up", title_justify="left")
    for column in ("series", "first", "last", "per hour", "may", "noise", ""):
        table.add_column(column, justify="left" if column in ("series", "") else "right")
    for each in found:
        allowed = (f"{each.bound.per_hour:,g}", f"{each.bound.noise:,g}") if each.bound else ("", "")
        verdict = "GROWS" if each.broken else "ok" if each.bound else "shown only"
        figures = (f"{each.first:,.1f}", f"{each.last:,.1f}", f"{each.per_hour:+,.1f}")
        table.add_row(each.series, *figures, *allowed, verdict)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for series, bound in BOUNDS.items():
        print(f"  {series}: {bound.reason}")
    print(f"  machine: {machine()}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


if __name__ == "__main__":
    main()
