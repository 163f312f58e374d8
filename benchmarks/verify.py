"""`make bench-verify`: what proving costs beside making: verify's seconds against the ingest of the same rows.

Real publications: `correnteza poll` of a generated mobile file and of a generated year of stations (these go on to
gold), and of the replay's series and broadband files. Ingest is bronze, silver and gold brought up to date, layer after
layer as `correnteza run all --once` does it, in a JVM that has done the same for a smaller prefix before; neither the
polling nor the JVM's start are counted. Verify is `correnteza verify`, a process of its own from its start to its exit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import machine, report
from correnteza import spark as sessions
from correnteza.commands.run import places
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from replay.server import serve
from replay.volume import catalogue
from schemas import topics
from schemas.contracts import load_all
from schemas.registry import Registry
from stream_jobs.driver import StreamDriver
from stream_jobs.gold.reference import municipalities
from stream_jobs.jobs import LAYERS, Broker

ROWS, STATIONS = 400_000, 40
WARM_ROWS, WARM_STATIONS = 20_000, 4
SOURCES = ("anatel_mobile_accesses", "inmet_hourly", "anatel_broadband_accesses", "bcb_sgs")
NEWS = ("anatel_broadband_accesses", "bcb_sgs")


def main() -> None:
    """Publish, ingest, verify whole, then an hour's news and verify again; print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the mobile file")
    parser.add_argument("--stations", type=int, default=STATIONS, help="stations of the year, 8,760 rows each")
    parser.add_argument("--ingest", nargs="*", metavar="FOLDER", help="only this candidate, on running services")
    arguments = parser.parse_args()
    if arguments.ingest is not None:
        _ingest([Path(each) for each in arguments.ingest])
        return
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder, Stack(Settings(home=Path(folder))) as stack:
        before = machine()
        rows, notes = measure(Path(folder), stack.endpoints, arguments.rows, arguments.stations)
    report("verify", "What verify costs", rows, [*notes, f"machine: {before}"])


def measure(
    folder: Path, endpoints: Mapping[str, str], rows: int, stations: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures, and what is to be said about them."""
    warm, bench = (Settings(home=folder / name, topic_prefix=f"{name}.", **endpoints) for name in ("warm", "bench"))  # type: ignore[arg-type]
    _publish(warm, WARM_ROWS, WARM_STATIONS, SOURCES, day=1)
    polled = _publish(bench, rows, stations, SOURCES, day=1)
    stages = _run([sys.executable, "-m", "benchmarks.verify", "--ingest", str(warm.home), str(bench.home)], bench)
    read = sum(stages["rows"]["bronze"].values())
    ingest = sum(stages["seconds"].values())
    shown = [_row("ingest: bronze, silver, gold", read, ingest, ingest)]
    for layer, seconds in stages["seconds"].items():
        shown.append(_row(f"  {layer}", sum(stages["rows"][layer].values()), seconds, ingest))
    shown += _verified("verify --full", bench, ingest, "--full")
    shown += _verified("verify, nothing new", bench, ingest)
    news = _publish(bench, rows, stations, NEWS, day=2)
    caught_up = _run([sys.executable, "-m", "correnteza", "run", "all", "--once", "--json"], bench)
    new_rows = next(sum(stage["rows"].values()) for stage in caught_up if stage["layer"] == "bronze")
    shown += _verified(f"verify, {new_rows:,} new records", bench, ingest)
    return shown, [
        f"{read:,} records, published in {polled:.1f} s (not counted); then {new_rows:,} more in {news:.1f} s",
        "share: of the seconds of the ingest of all the records; below each run, the checks that took longest",
    ]


def _publish(settings: Settings, rows: int, stations: int, sources: Sequence[str], *, day: int) -> float:
    """Poll the sources; returns the seconds."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    volumes = catalogue.resources({"mobile": rows, "stations": stations}, settings.home / "volume", municipalities())
    began = time.perf_counter()
    with serve(day=day, instead=volumes) as replay:
        for source in sources:
            own = {
                "CORRENTEZA_BASE_URLS": json.dumps({source: replay.base_urls[source]}),
                "CORRENTEZA_HISTORY_START": json.dumps({"inmet_hourly": "2025-01-01"}),
            }
            _run([sys.executable, "-m", "correnteza", "poll", source, "--once", "--json"], settings, own)
    return time.perf_counter() - began


def _verified(name: str, settings: Settings, ingest: float, *options: str) -> list[dict[str, Any]]:
    """The whole process, then its dearest checks. Raises: RuntimeError when a check does not hold."""
    began = time.perf_counter()
    found = _run([sys.executable, "-m", "correnteza", "verify", "--json", *options], settings)
    seconds = time.perf_counter() - began
    rows = [_row(name, 0, seconds, ingest)]
    for check in sorted(found["checks"], key=lambda check: -check["seconds"])[:5]:
        rows.append(_row(f"  {check['check']}", check["rows"], check["seconds"], ingest))
    return rows


def _row(name: str, rows: int, seconds: float, ingest: float) -> dict[str, Any]:
    return {"candidate": name, "rows": rows, "seconds": round(seconds, 2), "share_percent": seconds / ingest * 100}


def _run(command: Sequence[str], settings: Settings, variables: Mapping[str, str] | None = None) -> Any:
    """Run one program; returns the JSON that its output is, or ends with. Raises: RuntimeError when it fails."""
    own = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
        "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
    }
    finished = subprocess.run(
        command, env={**os.environ, **own, **(variables or {})}, stdout=subprocess.PIPE, text=True, check=False
    )
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {finished.returncode}: {finished.stdout[-2000:]}")
    try:
        return json.loads(finished.stdout)
    except json.JSONDecodeError:
        return json.loads(finished.stdout.splitlines()[-1])


def _ingest(homes: Sequence[Path]) -> None:
    """Bring one home after the other up to date in one JVM; prints seconds and rows of the last as JSON."""
    settings = Settings()
    spark = sessions.start(settings)
    for home in homes:
        own = settings.model_copy(update={"home": home, "topic_prefix": f"{home.name}."})
        broker, registry = Broker(own.bootstrap, own.topic_prefix), Registry(own.registry)
        driver = StreamDriver(spark, places(own), broker=broker, registry=registry, layers=LAYERS)
        stages = driver.run_once(threading.Event())
    seconds = {stage.layer: stage.seconds for stage in stages}
    print(json.dumps({"seconds": seconds, "rows": {stage.layer: stage.rows for stage in stages}}))
    spark.stop()


if __name__ == "__main__":
    main()
