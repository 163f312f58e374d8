"""`make bench-publish`: zip bytes to committed transactions, and how much memory that takes.

A seeded zip in ANATEL's layout is polled from a local server by `correnteza poll`, in a process of its own, into an
embedded broker: download, archive, CRC check, parse, encode, one transaction per 20,000 rows with receipt and cursor.
The reference publishes the same rows one by one. Peak memory is the publisher's own, the broker's left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.broadband_zip import served, write
from benchmarks.harness import report
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas import topics
from schemas.contracts import load_all

SOURCE = "anatel_broadband_accesses"


def main() -> None:
    """Run every candidate, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the member; a second one has twice as many"
    )
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-publish-") as folder, Stack(Settings(home=Path(folder))) as stack:
        small, large = Path(folder) / "small.zip", Path(folder) / "large.zip"
        for file, count in ((small, rows), (large, 2 * rows)):
            print(f"writing {count:,} rows", file=sys.stderr)
            write(file, count)
        candidates = [
            ("correnteza poll", small, _poll),
            ("correnteza poll, twice the rows", large, _poll),
            ("row by row: csv, fastavro, produce", small, _row_by_row),
        ]
        measured = []
        for number, (name, file, run) in enumerate(candidates):
            print(f"running: {name}", file=sys.stderr)
            own = {"home": Path(folder) / str(number), "topic_prefix": f"b{number}."}
            settings = Settings().model_copy(update={**stack.endpoints, **own})
            topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
            measured.append({"candidate": name, **run(file, settings)})
    ours, twice, reference = measured
    report(
        "publish",
        "Zip bytes to committed transactions",
        measured,
        [
            f"{ours['rows_per_second'] / reference['rows_per_second']:.1f} times the rows per second of row by row, "
            f"{reference['cpu_seconds_per_million'] / ours['cpu_seconds_per_million']:.1f} times less CPU per row",
            f"twice the rows take {twice['peak_rss_mb'] / ours['peak_rss_mb']:.2f} times the memory",
        ],
    )


def _poll(file: Path, settings: Settings) -> dict[str, Any]:
    with served(file) as url:
        variables = {
            "CORRENTEZA_HOME": str(settings.home),
            "CORRENTEZA_KAFKA_BOOTSTRAP": settings.bootstrap,
            "CORRENTEZA_REGISTRY_URL": settings.registry,
            "CORRENTEZA_TOPIC_PREFIX": settings.topic_prefix,
            "CORRENTEZA_BASE_URLS": json.dumps({SOURCE: url}),
        }
        return _measured(("correnteza", "poll", SOURCE, "--once", "--json"), variables)


def _row_by_row(file: Path, settings: Settings) -> dict[str, Any]:
    where = (str(file), settings.bootstrap, settings.registry, settings.topic_prefix)
    return _measured(("benchmarks.row_by_row", *where), {})


def _measured(module_and_arguments: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Run one publisher; its own clock, its CPU and its largest memory.

    Raises: RuntimeError when it failed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *module_and_arguments],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{module_and_arguments} ended with {process.returncode}")
    result = json.loads(said.splitlines()[-1])
    cpu = usage.ru_utime + usage.ru_stime
    unit = 1 << (20 if sys.platform == "darwin" else 10)  # ru_maxrss is in bytes there, in KiB elsewhere
    return {
        "rows": result["rows"],
        "seconds": result["seconds"],
        "rows_per_second": result["rows"] / result["seconds"],
        "cpu_seconds_per_million": cpu / result["rows"] * 1_000_000,
        "peak_rss_mb": usage.ru_maxrss / unit,
    }


if __name__ == "__main__":
    main()
