"""`correnteza demo`: the whole data path in a few minutes, from recorded bytes to the result of `verify`."""

import json
import os
import subprocess
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from correnteza import demo
from correnteza.demo_summary import Summary
from correnteza.own_home import own_places
from correnteza.settings import Settings
from foundation import log
from foundation.errors import UnsafeState
from foundation.redact import unescaped
from monitoring.lake import Lake, quoted

QUESTION = """
select date_on, uf, temperature_max_celsius as max_c, rain_mm, usd_brl::double as usd_brl,
       selic_target_percent::double as selic, round(ipca_12m_percent, 2) as ipca_12m, known_from
from gold.external_factors_daily
where uf = 'BA' and date_on between '2024-11-26' and '2024-11-28' order by date_on
"""


def command(
    in_store: Annotated[
        bool, typer.Option("--in-store", help="Keep tables and payloads in an embedded object store; own home too.")
    ] = False,
) -> None:
    """Poll recorded publications of the real sources, stream them to gold, verify, and print a summary.

    Everything is kept in its own home, `<home>/demo`, or `<home>/demo-s3` with `--in-store`; a second run
    polls the last publication day again.
    """
    began = time.monotonic()
    settings = Settings()
    settings = settings.model_copy(
        update={
            **own_places(settings.home / ("demo-s3" if in_store else "demo"), in_store=in_store),
            "spark_driver_memory": "768m",  # enough for these days; without a store all processes stay below 2.5 GB
        }
    )
    settings.logs.mkdir(parents=True, exist_ok=True)
    shown: list[subprocess.CompletedProcess[str]] = []
    rows: dict[str, int] = {}

    def prove(settings: Settings) -> None:
        shown.append(_correnteza(settings, "verify", "--full", "--json"))
        shown.append(_correnteza(settings, "query", QUESTION))
        rows.update(_rows(settings))

    with (settings.logs / "demo.log").open("a", encoding="utf-8") as lines, _Steps(began) as steps:
        log.configure(to=lines)
        report = demo.run(settings, steps.begin, prove, in_store=in_store)
    verdict, answer = shown
    if verdict.returncode and not verdict.stdout:
        raise UnsafeState("verify could not be run", hint=f"less {settings.logs / 'demo.log'}")
    found = settings.logs / "verify.json"
    found.write_text(verdict.stdout, encoding="utf-8")
    checks = json.loads(verdict.stdout)["checks"]
    summary = Summary(report, rows, checks, answer.stdout, time.monotonic() - began)
    print("\n".join(summary.lines(settings.home, in_store=in_store)))
    if verdict.returncode:
        raise UnsafeState("verify does not hold", hint=f"less {found}")
    if any(report.replayed.values()):
        raise UnsafeState(f"a replayed day published rows: {report.replayed}")


class _Steps:
    """Shows the running step and how long it may take: a bar on a terminal, one line per step elsewhere."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._console = Console(file=unescaped(sys.stderr))
        columns = (BarColumn(30), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=sum(demo.USUAL_SECONDS.values()))
        self._done = 0.0

    def __enter__(self) -> "_Steps":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, step: str) -> None:
        """Begin a step; the one before it ends."""
        usual = demo.USUAL_SECONDS[step]
        line = f"{step}, about {usual} s"
        self._bar.update(self._task, completed=self._done, description=line)
        self._done += usual
        if not self._console.is_terminal:
            self._console.print(f"{time.monotonic() - self._began:6.1f} s  {line}", highlight=False)


def _correnteza(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    addresses = {"CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap, "CORRENTEZA_REGISTRY_URL": settings.registry}
    places = {"CORRENTEZA_LAKE": str(settings.lake), "CORRENTEZA_ARCHIVE": str(settings.archive)}
    # The store is the demo's own, and not one of the user's.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CORRENTEZA_S3_")}
    return subprocess.run(
        [sys.executable, "-m", "correnteza", *arguments],
        env={**ours, **addresses, **places, "CORRENTEZA_HOME": str(settings.home)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def _rows(settings: Settings) -> dict[str, int]:
    lake = Lake(settings.lake_root)
    return {name: int(str(lake.value(f"select count(*) from {quoted(name)}"))) for name in lake.snapshots}
