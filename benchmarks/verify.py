"""`make bench-verify`: what proving costs beside making: verify's seconds against the ingest of the same rows.

Real publications: `correnteza poll` of a generated mobile file and of a generated year of stations (these go on to
gold), and of the replay's series and broadband files. Ingest is bronze, silver and gold brought up to date, layer after
layer as `correnteza run all --once` does it, in a JVM that has done the same for a smaller prefix before; neither the
polling nor the JVM's start are counted. Verify is `correnteza verify`, a process of its own from its start to its exit.
It is asked of the lake as it was ingested, and of a copy whose hourly tables are aged (`benchmarks/ageing.py`). Each
figure is of several runs; each run of `verify` begins with the mark that the first one found.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ageing import COMMITS, HOURLY, age
from benchmarks.harness import RUNS, machine, report, spread, timed
from correnteza import spark as sessions
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.places import places
from correnteza.settings import Settings
from replay.server import serve
from replay.volume import catalogue
from schemas.contracts import load_all
from schemas.registry import Registry
from stream_jobs.gold.reference import municipalities
from stream_jobs.running.driver import StreamDriver
from stream_jobs.running.jobs import LAYERS, Broker

ROWS, STATIONS = 400_000, 40
WARM_ROWS, WARM_STATIONS = 20_000, 4
SOURCES = ("anatel_mobile_accesses", "inmet_hourly", "anatel_broadband_accesses", "bcb_sgs")
NEWS = ("anatel_broadband_accesses", "bcb_sgs")
DEAREST = 5
"""Checks that are shown of each run."""


def main() -> None:
    """Publish, ingest, verify whole, then an hour's news and verify again; print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the mobile file")
    parser.add_argument("--stations", type=int, default=STATIONS, help="stations of the year, 8,760 rows each")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each measurement")
    parser.add_argument("--commits", type=int, default=COMMITS, help="of each aged table")
    parser.add_argument("--ingest", nargs="*", metavar="FOLDER", help="only this candidate, on running services")
    arguments = parser.parse_args()
    if arguments.ingest is not None:
        _ingest([Path(each) for each in arguments.ingest])
        return
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder, Stack(Settings(home=Path(folder))) as stack:
        before = machine()
        bench = Bench(Path(folder), stack.endpoints, arguments.runs)
        bench.ingest(arguments.rows, arguments.stations)
        bench.age(arguments.commits)
        bench.verify_all()
        bench.verify_news(arguments.rows, arguments.stations)
    report("verify", "What verify costs", bench.rows, [*bench.notes, f"machine: {before}"])


class Bench:
    """One lake fresh and aged, the figures of both, and what is to be said about them."""

    def __init__(self, folder: Path, endpoints: Mapping[str, str], runs: int) -> None:
        self._folder, self._endpoints, self._runs = folder, endpoints, runs
        self._fresh = self._settings("bench")
        self._homes = {"fresh": self._fresh}
        self._ingest_seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []

    def ingest(self, rows: int, stations: int) -> None:
        """Publish, and bring the same topics to gold in several lakes, of which the last one is kept."""
        _publish(self._settings("warm"), WARM_ROWS, WARM_STATIONS, SOURCES, day=1)
        polled = _publish(self._fresh, rows, stations, SOURCES, day=1)
        others = [str(self._folder / f"bench-{number}") for number in range(1, self._runs)]
        homes = [str(self._folder / "warm"), *others, str(self._fresh.home)]
        (_, *runs) = _run(["-m", "benchmarks.verify", "--ingest", *homes], self._fresh)[1]
        for each in others:
            shutil.rmtree(each)
        read = sum(runs[-1]["rows"]["bronze"].values())
        together = [sum(each["seconds"].values()) for each in runs]
        self._ingest_seconds = spread("s", together)["s"]
        self._add("ingest: bronze, silver, gold", read, together)
        for layer, found in runs[-1]["rows"].items():
            self._add(f"  {layer}", sum(found.values()), [each["seconds"][layer] for each in runs])
        self.notes += [
            f"{read:,} records, published in {polled:.1f} s (not counted)",
            "share: of the ingest of all the records, medians; below each run, the checks that took longest",
        ]

    def age(self, commits: int) -> None:
        """A copy of the lake, on the same topics and payloads, aged."""
        old = self._homes["aged"] = self._settings("bench-aged")
        for folder in ("lake", "checkpoints"):
            shutil.copytree(self._fresh.home / folder, old.home / folder)
        Path(old.archive_root).symlink_to(Path(self._fresh.archive_root).resolve())
        self.notes.append(f"aged: {age(Path(old.lake_root), HOURLY, commits)}")

    def verify_all(self) -> None:
        """Everything, and then nothing new."""
        for kind, settings in self._homes.items():
            self._verified(f"verify --full, {kind}", settings, "--full")
            self._verified(f"verify, nothing new, {kind}", settings)

    def verify_news(self, rows: int, stations: int) -> None:
        """What another publication day brings, once it is in both lakes."""
        _publish(self._fresh, rows, stations, NEWS, day=2)
        for kind, settings in self._homes.items():
            caught_up = _run(["-m", "correnteza", "run", "all", "--once", "--json"], settings)[1]
            count = next(sum(stage["rows"].values()) for stage in caught_up if stage["layer"] == "bronze")
            self._verified(f"verify, {count:,} new records, {kind}", settings)

    def _verified(self, name: str, settings: Settings, *options: str) -> None:
        """The whole process, then its dearest checks. Raises: RuntimeError when a check does not hold."""
        mark = settings.home / "verify" / "verified.json"
        found = mark.read_bytes() if mark.exists() else None
        seconds: list[float] = []
        checks: dict[str, list[float]] = {}
        rows: dict[str, int] = {}
        for _ in range(self._runs):
            if found is not None:
                mark.write_bytes(found)
            took, said = _run(["-m", "correnteza", "verify", "--json", *options], settings)
            seconds.append(took)
            for check in said["checks"]:
                checks.setdefault(check["check"], []).append(check["seconds"])
                rows[check["check"]] = check["rows"]
        self._add(name, 0, seconds)
        for check in sorted(checks, key=lambda each: -spread("s", checks[each])["s"])[:DEAREST]:
            self._add(f"  {check}", rows[check], checks[check])

    def _add(self, name: str, rows: int, seconds: Sequence[float]) -> None:
        shown = spread("seconds", seconds)
        share = shown["seconds"] / self._ingest_seconds * 100
        self.rows.append({"candidate": name, "rows": rows, **shown, "share_percent": share})

    def _settings(self, name: str) -> Settings:
        prefix = f"{name.partition('-')[0]}."
        return Settings(home=self._folder / name, topic_prefix=prefix, **self._endpoints)  # type: ignore[arg-type]


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
            _run(["-m", "correnteza", "poll", source, "--once", "--json"], settings, own)
    return time.perf_counter() - began


def _run(arguments: Sequence[str], settings: Settings, variables: Mapping[str, str] | None = None) -> tuple[float, Any]:
    """Run Python with these arguments: its seconds, and the JSON that its output is, or ends with."""
    own = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
        "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
    }
    seconds, said = timed(arguments, {**own, **(variables or {})})
    try:
        return seconds, json.loads(said)
    except json.JSONDecodeError:
        return seconds, json.loads(said.splitlines()[-1])


def _ingest(homes: Sequence[Path]) -> None:
    """Bring one home after the other up to date in one JVM; prints seconds and rows of each as JSON."""
    settings = Settings()
    spark = sessions.start(settings)
    found = []
    for home in homes:
        own = settings.model_copy(update={"home": home, "topic_prefix": f"{home.name.partition('-')[0]}."})
        broker, registry = Broker(own.bootstrap, own.topic_prefix), Registry(own.registry)
        driver = StreamDriver(spark, places(own), broker=broker, registry=registry, layers=LAYERS)
        stages = driver.run_once(threading.Event())
        seconds = {stage.layer: stage.seconds for stage in stages}
        found.append({"seconds": seconds, "rows": {stage.layer: stage.rows for stage in stages}})
    print(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main()
