"""`make soak MINUTES=60`: a driver under steady load, and whether anything that it holds grows.

A real `correnteza run all`, over an embedded broker and registry in a temporary folder, gets 1,000 station-hours every
five seconds. As often, its memory, threads, open files, checkpoints and table logs are counted (those of broker and
registry are not). A third of the time, at most 25 minutes, is warm-up: caches and thread pools fill. What follows gives
each series a slope an hour, and an interval that it lies in with 99 % confidence. Exit code 1 when a series surely
grows so fast that it would double in a week, when the driver ends, or when it stops writing. Nothing is kept.

The short form counts batches instead of hours: a layer is triggered every second, and a thread or a file that leaks
with each batch is a slope of one. Memory needs hours; it is not judged there. `make test` runs it with bronze alone,
whose batches are the quickest, `make test-faults` with all layers.
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
from benchmarks.slopes import CONFIDENCE, Samples, Slope, least_of_each, slope
from benchmarks.station_hours import Load
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas.contracts import load_all
from schemas.registry import prove_compatibility

SAMPLE_SECONDS = 5.0
LONGEST_WARM_UP_SECONDS = 25 * 60
START_SECONDS = 240
QUERIES = ("bronze.inmet_hourly", "silver.inmet_hourly", "gold.fact_weather_daily", "gold.external_factors_daily")
"""The queries that the load reaches, each named as its table."""

WARM_UP_BATCHES, JUDGED_BATCHES = 12, 10
"""Of the short form, by the query that runs fewest. A query keeps its last 10 batches: its files are flat after 12."""

SHORT_SECONDS = 1800
"""Longest that the short form waits for its batches."""

COUNTED = ("jvm_threads", "python_threads", "jvm_open_files", "python_open_files", "checkpoint_files")
"""What a batch may not leave behind."""

MEMORY = ("jvm_rss_mb", "python_rss_mb")
PER_BATCH = 0.5
"""A leak is one a batch: half of that, surely exceeded, is one."""

WEEK_HOURS = 168


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
        found = judge(samples)
    except ValueError as error:
        sys.exit(f"nothing to judge: {error}")
    complaints = [*(f"{each.series} grows" for each in found if each.broken), *standing(samples)]
    if arguments.json:
        slopes_found = [{**vars(each), "broken": each.broken} for each in found]
        json.dump(
            {"machine": machine(), "slopes": slopes_found, "complaints": complaints, "samples": samples}, sys.stdout
        )
        print()
    else:
        show(found, arguments.minutes)
        print("\n".join(complaints) or "nothing grows beyond its bound")
    sys.exit(1 if complaints else 0)


def soak(home: Path, minutes: float, variables: Mapping[str, str]) -> list[dict[str, float]]:
    """Samples of a driver under load, `SAMPLE_SECONDS` apart; they end early when the driver does.

    Args: variables: as `driving.driver`.
    """
    samples = []
    for sample in sampled(home, variables, COMMAND, every=SAMPLE_SECONDS):
        samples.append(sample)
        tell(sample, f"{minutes:g} min")
        if sample["seconds"] >= minutes * 60:
            break
    return samples


def short_soak(
    home: Path, command: Sequence[str] = COMMAND, queries: Sequence[str] = QUERIES
) -> list[dict[str, float]]:
    """Samples a second apart, until these queries were seen at enough batches or `SHORT_SECONDS` are over."""
    samples: list[dict[str, float]] = []
    layers = {name.partition(".")[0].upper() for name in queries}
    intervals = {f"CORRENTEZA_{layer}_INTERVAL_SECONDS": "1" for layer in layers}
    for sample in sampled(home, intervals, command, every=1.0, queries=queries):
        samples.append(sample)
        tell(sample, f"{WARM_UP_BATCHES + JUDGED_BATCHES} batches or more")
        seen = {each["batches"] for each in samples if each["batches"] > WARM_UP_BATCHES}
        if len(seen) >= JUDGED_BATCHES or sample["seconds"] > SHORT_SECONDS:
            break
    return samples


def sampled(
    home: Path,
    variables: Mapping[str, str],
    command: Sequence[str],
    *,
    every: float,
    queries: Sequence[str] = QUERIES,
) -> Iterator[dict[str, float]]:
    """Start all, load the driver with 1,000 rows each time, and count what it holds; ends when the driver does."""
    settings = Settings(home=home)
    with contextlib.ExitStack() as cleanup:
        stack = cleanup.enter_context(Stack(settings))
        settings = settings.model_copy(update=stack.endpoints)
        topics.apply(settings.bootstrap, load_all().values(), "")
        prove_compatibility(settings.registry)
        load = Load(settings)
        load.stations()
        log = home / "soak-driver.log"
        running = cleanup.enter_context(driver(settings, log, variables, command))
        last = settings.lake_root / queries[-1].replace(".", "/") / "_delta_log"
        wait(lambda: last.exists() or running.poll() is not None, f"the driver's table {queries[-1]}", START_SECONDS)
        for second in ticks(time.monotonic(), every):
            load.run(1)
            if running.poll() is not None:
                print(f"the driver ended with code {running.returncode}:\n{_tail(log)}", file=sys.stderr)
                return
            done = batches(home, queries)
            yield {"seconds": second, "batches": min(done.values()), **done, **census(running.pid, home)}


def ticks(began: float, every: float) -> Iterator[float]:
    """Seconds since the beginning, once every so many; a moment that was missed is not made up for."""
    while True:
        yield time.monotonic() - began
        time.sleep(every - (time.monotonic() - began) % every)


def batches(home: Path, queries: Sequence[str]) -> dict[str, float]:
    """Batches that each loaded query has finished. The slopes of a driver without batches mean nothing."""
    found = {}
    for query in queries:
        done = [int(file.name) for file in (home / "checkpoints" / query).glob("g0/commits/*") if file.name.isdigit()]
        found[f"{query}_batches"] = float(max(done, default=-1) + 1)
    return found


def judge(samples: Samples) -> list[Slope]:
    """The slopes an hour, after the warm-up. Raises: ValueError when there are too few samples."""
    warm_up = min(samples[-1]["seconds"] / 3, LONGEST_WARM_UP_SECONDS) if samples else 0.0
    window = [sample for sample in samples if sample["seconds"] >= warm_up]
    found = []
    for series in _series(window):
        points = [(sample["seconds"] / 3600, sample[series]) for sample in window]
        allowed = points[-1][1] / WEEK_HOURS if series in (*COUNTED, *MEMORY) else None
        found.append(slope(series, points, allowed))
    return found


def judge_batches(samples: Samples) -> list[Slope]:
    """The slopes per batch, after the warm-up. Raises: ValueError when there are too few batches."""
    window = [sample for sample in samples if sample["batches"] > WARM_UP_BATCHES]
    return [
        slope(series, least_of_each(window, "batches", series), PER_BATCH if series in COUNTED else None)
        for series in _series(window)
    ]


def _series(samples: Samples) -> list[str]:
    names = samples[0] if samples else ()
    return [name for name in names if name != "seconds" and not name.endswith("batches")]


def standing(samples: Samples) -> list[str]:
    """What was stopped in the second half of the samples, in words."""
    middle, last = samples[len(samples) // 2], samples[-1]
    queries = [name for name in last if name.endswith("_batches")]
    return [f"{name.removesuffix('_batches')} has stopped" for name in queries if last[name] <= middle[name]]


def tell(sample: Mapping[str, float], of: str) -> None:
    """One line of progress, on stderr."""
    done = "/".join(f"{value:.0f}" for name, value in sample.items() if name.endswith("_batches"))
    print(
        f"{sample['seconds'] / 60:6.1f} min, of {of}"
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
    for column in ("series", "first", "last", "per hour", f"surely ({CONFIDENCE:.0%}) from", "to", "may", ""):
        table.add_column(column, justify="left" if column in ("series", "") else "right")
    for each in found:
        verdict = "GROWS" if each.broken else "ok" if each.allowed is not None else "shown only"
        figures = (f"{each.first:,.1f}", f"{each.last:,.1f}", f"{each.per_unit:+,.1f}")
        sure = (f"{each.least:+,.1f}", f"{each.most:+,.1f}")
        table.add_row(each.series, *figures, *sure, "" if each.allowed is None else f"{each.allowed:,.1f}", verdict)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print("  may: the slope at which the last value would double in a week")
    print(f"  machine: {machine()}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


if __name__ == "__main__":
    main()
