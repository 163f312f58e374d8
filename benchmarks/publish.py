"""`make bench-publish`: zip bytes to committed transactions at full size, and what a crash half-way costs.

`correnteza poll`, in a process of its own, polls generated publications (replay.volume) from a local server into an
embedded broker: ranged download, archive, CRC check, parse, encode, one transaction per 20,000 rows with receipt and
cursor. The reference publishes the same layout row by row. The seconds are the process's, from its start to its exit.
Peak memory is the publisher's own, the broker's left out. All is run several times, each time on a broker of its own.

The run that is killed loses its process at a committed chunk half-way through the large member; its successor ends the
job, and an independent consumer counts and hashes what is in Kafka.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness import RUNS, TreeMeter, machine, report, together
from benchmarks.read_back import read_back
from correnteza import topics
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from replay.server import Replay, serve
from replay.volume import catalogue, mobile
from schemas.contracts import load_all
from stream_jobs.gold.reference import municipalities

MOBILE, STATIONS = "anatel_mobile_accesses", "inmet_hourly"
ROWS = 5_000_000
STATION_COUNT = 600
GONE_EVERY = 100
SMALL_SHARE = 5
"""The smaller member, and the reference's, has this part of the large one's rows."""


def main() -> None:
    """Run every candidate, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the large mobile member")
    parser.add_argument("--stations", type=int, default=STATION_COUNT, help="stations of the year, 8,760 rows each")
    parser.add_argument("--runs", type=int, default=RUNS, help="of every candidate")
    arguments = parser.parse_args()
    before = machine()
    measured, notes = [], []
    for number in range(1, arguments.runs + 1):
        with (
            tempfile.TemporaryDirectory(prefix="bench-publish-") as folder,
            Stack(Settings(home=Path(folder))) as stack,
        ):
            bench = Bench(Path(folder), stack, arguments.rows, arguments.stations)
            measured.append(bench.measure())
        notes += [f"run {number}: {note}" for note in bench.notes]
    rows = together(measured, "rows_per_second")
    report("publish", "Zip bytes to committed transactions", rows, [*notes, f"machine: {before}"])


class Bench:
    """The candidates, each on topics and a home of its own, and what is to be said about them."""

    def __init__(self, folder: Path, stack: Stack, rows: int, stations: int) -> None:
        self._folder = folder
        self._stack = stack
        self._rows = rows
        self._stations = stations
        self.notes: list[str] = []
        self._measured: dict[str, dict[str, Any]] = {}

    def measure(self) -> list[dict[str, Any]]:
        """Every candidate once."""
        return [self.large(), self.again(), self.killed(), self.stations(), self.small(), self.reference()]

    def large(self) -> dict[str, Any]:
        """The large member in one run."""
        settings = self._settings("large")
        with self._served("mobile", self._rows) as replay:
            return self._done("large", f"correnteza poll, {self._rows:,} mobile rows", _poll(MOBILE, settings, replay))

    def again(self) -> dict[str, Any]:
        """The large member republished with one row of GONE_EVERY less: each key is compared, some are withdrawn."""
        settings = self._settings("large")
        ((path, former),) = self._resources("mobile", self._rows).items()
        file = self._folder / "volume" / "again.zip"
        _without_some(Path(former.body), file)
        again = replace(former, body=file, modified_at=former.modified_at + timedelta(days=1))
        print("running: the same again, with less rows", file=sys.stderr)
        with serve(instead={path: again}) as replay:
            found = _poll(MOBILE, settings, replay)
        done = self._done("again", f"republished, {found['withdrawn']:,} keys withdrawn", found)
        ratio = done["rows_per_second"] / _figures("", self._measured["large"])["rows_per_second"]
        self.notes.append(f"a republished member goes at {ratio:.2f} times the speed of its first publication")
        return done

    def killed(self) -> dict[str, Any]:
        """The same, killed half-way and started again: both processes together, and what is then in Kafka."""
        settings = self._settings("killed")
        # Two small members are one chunk each; then half of the large one's.
        passage = 2 + max(1, self._rows // settings.chunk_rows // 2)
        with self._served("mobile", self._rows) as replay:
            crash = _poll(MOBILE, settings, replay, CORRENTEZA_FAILPOINT=f"after_commit_txn@{passage}:kill")
            asked, resumed_at = len(replay.requests), time.time()
            resumed = _poll(MOBILE, settings, replay)
            fetched = sum(request.bytes_sent for request in replay.requests[asked:])
        print("reading back what was published", file=sys.stderr)
        found = read_back(settings.bootstrap, settings.topic_prefix, MOBILE)
        large = self._measured["large"]
        if found.problems or found.records != large["rows"]:
            raise RuntimeError(f"{found.records} records where {large['rows']} must be; {found.problems[:5]}")
        # Not by subtracting two runs: what else the machine did meanwhile would be most of the difference.
        until_first = min(at for at in found.published_at if at > resumed_at) - resumed_at
        self.notes += [
            f"kill -9 after chunk {passage} of {found.chunks}: the successor published the other {resumed['rows']:,} "
            f"rows and fetched {fetched:,} bytes; the first of them came {until_first:.1f} s after its start",
            f"read back: {found.records:,} records in {found.chunks} chunks, each there once, whole, and with the hash "
            "of its manifest",
        ]
        both = {
            "rows": found.records,
            "wall_seconds": crash["wall_seconds"] + resumed["wall_seconds"],
            "cpu_seconds": crash["cpu_seconds"] + resumed["cpu_seconds"],
            "peak_bytes": max(crash["peak_bytes"], resumed["peak_bytes"]),
        }
        return self._done("killed", "the same, killed half-way and resumed", both)

    def stations(self) -> dict[str, Any]:
        """Many members of some thousand rows: a chunk, and so a transaction, each."""
        settings = self._settings("stations")
        with self._served("stations", self._stations) as replay:
            year = json.dumps({STATIONS: "2025-01-01"})
            found = _poll(STATIONS, settings, replay, CORRENTEZA_HISTORY_START=year)
        return self._done("stations", f"correnteza poll, a year of {self._stations} stations", found)

    def small(self) -> dict[str, Any]:
        """A smaller member: memory must not grow with the rows."""
        settings, rows = self._settings("small"), self._rows // SMALL_SHARE
        with self._served("mobile", rows) as replay:
            done = self._done("small", f"correnteza poll, {rows:,} mobile rows", _poll(MOBILE, settings, replay))
        growth = self._measured["large"]["peak_bytes"] / self._measured["small"]["peak_bytes"]
        self.notes.append(f"{SMALL_SHARE} times the rows take {growth:.2f} times the memory")
        return done

    def reference(self) -> dict[str, Any]:
        """Row by row, on the smaller member."""
        settings = self._settings("reference")
        (file,) = self._resources("mobile", self._rows // SMALL_SHARE).values()
        where = (str(file.body), mobile.NEWEST, settings.bootstrap, settings.registry, settings.topic_prefix)
        print("running: row by row", file=sys.stderr)
        found = _measured(("benchmarks.row_by_row", *where), {})
        name = f"row by row: csv, fastavro, produce, {self._rows // SMALL_SHARE:,} mobile rows"
        done = self._done("reference", name, found)
        ours = _figures("", self._measured["small"])
        faster = ours["rows_per_second"] / done["rows_per_second"]
        cheaper = done["cpu_seconds_per_million"] / ours["cpu_seconds_per_million"]
        self.notes.append(
            f"{faster:.1f} times the rows per second of row by row on the same member, at {cheaper:.1f} times less CPU"
        )
        return done

    def _settings(self, name: str) -> Settings:
        own = {"home": self._folder / name, "topic_prefix": f"{name}."}
        settings = Settings().model_copy(update={**self._stack.endpoints, **own})
        topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
        return settings

    def _resources(self, volume: str, size: int) -> Any:
        return catalogue.resources({volume: size}, self._folder / "volume", municipalities())

    @contextlib.contextmanager
    def _served(self, volume: str, size: int) -> Iterator[Replay]:
        print(f"running: {volume} of {size:,}", file=sys.stderr)
        with serve(instead=self._resources(volume, size)) as replay:
            yield replay

    def _done(self, key: str, name: str, found: dict[str, Any]) -> dict[str, Any]:
        self._measured[key] = found
        return _figures(name, found)


def _figures(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "candidate": name,
        "rows": found["rows"],
        "seconds": found["wall_seconds"],
        "rows_per_second": found["rows"] / found["wall_seconds"],
        "cpu_seconds_per_million": found["cpu_seconds"] / found["rows"] * 1_000_000,
        "peak_mb": found["peak_bytes"] / 1e6,
    }


def _without_some(former: Path, file: Path) -> None:
    """Another zip: the newest member without every GONE_EVERY-th row, the others as they are."""
    with zipfile.ZipFile(former) as read, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as write:
        for name in read.namelist():
            with read.open(name) as lines, write.open(name, "w", force_zip64=True) as member:
                for number, line in enumerate(lines):
                    if name != mobile.NEWEST or not number or number % GONE_EVERY:
                        member.write(line)


def _poll(source: str, settings: Settings, replay: Replay, **variables: str) -> dict[str, Any]:
    addresses = {
        "CORRENTEZA_HOME": str(settings.home),
        "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
        "CORRENTEZA_REGISTRY_URL": settings.registry,
        "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
        "CORRENTEZA_BASE_URLS": json.dumps({source: replay.base_urls[source]}),
    }
    return _measured(("correnteza", "poll", source, "--once", "--json"), {**addresses, **variables})


def _measured(module_and_arguments: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Run one publisher: what it says on its last line, its wall clock, its CPU, its largest memory as sampled.

    One that a failure point killed says nothing. Raises: RuntimeError when it failed otherwise.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *module_and_arguments],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # Not ru_maxrss: that begins with what this process, which starts the other, holds itself.
    with TreeMeter(process.pid) as meter:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    is_killed = process.returncode < 0 and "CORRENTEZA_FAILPOINT" in variables
    if process.returncode and not is_killed:
        raise RuntimeError(f"{module_and_arguments} ended with {process.returncode}")
    return {
        **({} if is_killed else json.loads(said.splitlines()[-1])),
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": meter.cost.peak_bytes,
    }


if __name__ == "__main__":
    main()
