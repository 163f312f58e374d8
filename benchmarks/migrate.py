"""`make bench-migrate`: the legacy's 118,082 rows × 31 columns, with their dirt, from file to a verified silver table.

Each step is a command of its own, measured from outside: wall seconds, CPU-seconds and the most memory of its process
tree. `run` alone is the publishing part: archive, parse, encode, Kafka. Then the size of the table against a CSV file.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks import legacy_system
from benchmarks.driving import environment
from benchmarks.harness import TreeMeter, machine, report
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings


def main() -> None:
    """Write the file, migrate it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=legacy_system.ROWS)
    parser.add_argument("--kind", choices=("sqlite", "csv"), default="sqlite")
    parser.add_argument("--publish-only", action="store_true", help="leave out streaming, verify and report")
    arguments = parser.parse_args()
    before, measured = machine(), []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as cleanup:
        stack = cleanup.enter_context(Stack(Settings(home=Path(folder, "home"))))
        settings = Settings(home=Path(folder, "home")).model_copy(update=stack.endpoints)
        csv = legacy_system.write_csv(Path(folder, f"{legacy_system.NAME}.csv"), arguments.rows)
        file = csv if arguments.kind == "csv" else legacy_system.write_sqlite(Path(folder, "legacy.db"), arguments.rows)
        mapping, dataset = Path(folder, "mapping.toml"), f"legacy_{legacy_system.NAME}"
        table = ["--table", legacy_system.NAME] if arguments.kind == "sqlite" else []
        steps = [
            ["migrate", "inspect", str(file), *table, "--output", str(mapping)],
            ["migrate", "plan", str(mapping), str(file)],
            ["migrate", "run", str(mapping), str(file)],
            ["migrate", "run", str(mapping), str(file)],
        ]
        if not arguments.publish_only:
            steps += [["run", "all", "--once"], ["migrate", "verify", dataset], ["verify", "--full"], ["status"]]
            steps += [["migrate", "report", dataset, "--output", str(Path(folder, "report.html"))]]
        measured = [_measured(settings, step) for step in steps]
        notes = [json.dumps({"before": before, "after": machine()})]
        if not arguments.publish_only:
            held = sum(
                DeltaTable(str(settings.lake_root / "silver" / dataset))
                .get_add_actions(flatten=True)["size_bytes"]
                .to_pylist()
            )
            size = csv.stat().st_size
            notes.append(f"CSV {size:,} bytes, silver {held:,} bytes: {100 * (1 - held / size):.0f} % less")
        report("migrate", f"migration of {arguments.rows:,} rows × 31, {arguments.kind}", measured, notes)


def _measured(settings: Settings, step: list[str]) -> dict[str, Any]:
    """One command to its end. Raises: RuntimeError when it fails."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "correnteza", *step]
    process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with TreeMeter(process.pid) as meter:
        out, said = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(step)} ended with {process.returncode}: {said.decode()[-2000:]}")
    shown = " ".join(step[:2]) if step[0] == "migrate" else " ".join(step)
    cost = f"{meter.cost.cpu_seconds:.1f} CPU-seconds, {meter.cost.peak_bytes / 1e6:.0f} MB"
    print(f"{shown}: {seconds:.1f} s, {cost}: {out.decode()[:200].strip()}", file=sys.stderr)
    return {
        "step": shown,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(meter.cost.cpu_seconds, 1),
        "peak_mb": round(meter.cost.peak_bytes / 1e6),
    }


if __name__ == "__main__":
    main()
