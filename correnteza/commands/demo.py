"""`correnteza demo`: the whole path in a few minutes, from recorded bytes to a verdict."""

import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from correnteza import demo
from correnteza.settings import Settings
from foundation import log
from foundation.errors import UnsafeState
from monitoring.lake import Lake, quoted

LAYERS = ("bronze", "silver", "gold", "ops")

QUESTION = """
select date_on, uf, round(temperature_max_celsius, 1) as max_celsius, round(rain_mm, 1) as rain_mm,
       usd_brl::double as usd_brl, selic_target_percent::double as selic, ipca_12m_percent as ipca_12m, known_from
from gold.external_factors_daily
where uf = 'BA' and date_on between '2024-11-25' and '2024-11-29' order by date_on
"""


def command() -> None:
    """Poll recorded publications of the real sources, stream them to gold, verify, and say what came of it.

    Everything is kept in a home of its own, `<home>/demo`; a second run polls the last publication day again.
    """
    began = time.monotonic()
    settings = Settings()
    settings = settings.model_copy(
        update={
            "home": settings.home / "demo",
            "kafka_bootstrap": None,
            "registry_url": None,
            "spark_driver_memory": "1g",  # enough for these days; all processes together stay below 3 GiB
        }
    )
    settings.logs.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    shown: list[subprocess.CompletedProcess[str]] = []

    def prove(settings: Settings) -> None:
        shown.append(_correnteza(settings, "verify", "--full"))
        shown.append(_correnteza(settings, "query", QUESTION))

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        (settings.logs / "demo.log").open("a", encoding="utf-8") as lines,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        log.configure(to=lines)
        task = progress.add_task("")

        def announce(stage: str) -> None:
            progress.update(task, description=stage)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - began:6.1f} s  {stage}", highlight=False)

        report = demo.run(settings, announce, prove)
    verdict, answer = shown
    _print_published(report)
    _print_rows(settings)
    print("\n" + "   ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items()))
    print(f"total {time.monotonic() - began:.1f} s")
    print("\n$ correnteza verify --full\n" + verdict.stdout)
    print("$ correnteza query …\n" + answer.stdout)
    _print_next(settings.home)
    if verdict.returncode:
        raise UnsafeState("verify does not hold", hint=f"CORRENTEZA_HOME={settings.home} correnteza verify --json")
    if any(report.replayed.values()):
        raise UnsafeState(f"a replayed day published rows: {report.replayed}")


def _correnteza(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    addresses = {"CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap, "CORRENTEZA_REGISTRY_URL": settings.registry}
    return subprocess.run(
        [sys.executable, "-m", "correnteza", *arguments],
        env={**os.environ, **addresses, "CORRENTEZA_HOME": str(settings.home)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def _print_published(report: demo.Report) -> None:
    table = Table(title="records published", box=None, pad_edge=False, title_justify="left")
    table.add_column("source")
    for day in report.published:
        table.add_column(f"day {day}", justify="right")
    table.add_column("last day, polled again", justify="right")
    for source, again in report.replayed.items():
        table.add_row(source, *(f"{day[source]:,}" for day in report.published.values()), f"{again:,}")
    Console(width=110).print(table)


def _print_rows(settings: Settings) -> None:
    table = Table(title="rows per table", box=None, pad_edge=False, title_justify="left")
    for column, justify in (("table", "left"), ("rows", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    lake = Lake(settings.lake)
    for name in sorted(lake.snapshots, key=lambda name: (LAYERS.index(name.split(".")[0]), name)):
        table.add_row(name, f"{lake.value(f'select count(*) from {quoted(name)}'):,}")
    Console(width=110).print(table)


def _print_next(home: Path) -> None:
    print(f"tables: {home / 'lake'}/<layer>/<table>   payloads: {home / 'archive'}   logs: {home / 'logs'}")
    print("what to try next:")
    for line in (
        'correnteza query "select * from silver.bcb_sgs_revisions where series_code = 433 order by reference_on desc"',
        "correnteza as-of bcb_sgs 2025-10-01 --where \"series_code = 433 and reference_on >= '2025-06-01'\"",
        "correnteza quality",
        "correnteza status   # tells what it can without the broker, which has ended with the demo",
    ):
        print(f"  CORRENTEZA_HOME={home} .venv/bin/{line}")
    print("  make demo          # again: a replayed day publishes nothing")
