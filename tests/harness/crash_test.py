"""`make crash-test KILLS=100 SEED=...`: random kill -9 of producer, broker and driver under steady load.

Unmodified processes over an embedded broker and registry in a temporary home: `correnteza poll inmet_hourly` again and
again, each time of a newer edition of 2,000 rows in forty transactions, and `correnteza run bronze`. What was killed is
started again at once; the next kill comes when all is well again, and a random moment later. At the end everything is
read back (tests/oracles.py, tests/lake_oracles.py) and `correnteza verify --full` has its say. Exit code 1 if anything
was lost or doubled, or did not recover by itself. The Markdown block of the result goes into docs/guarantees.md.
"""

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests import lake_oracles, oracles
from tests.harness.load import acknowledged
from tests.harness.rig import BRONZE, DATASETS, TARGETS, Rig, load_average
from tests.harness.timeline import Timeline, seed_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
BEGIN, END = "<!-- crash-test -->", "<!-- /crash-test -->"
LONGEST_PEACE_SECONDS = 1.5
"""Between a recovery and the next kill lies a random part of this."""


@dataclass
class Result:
    """What came of a run.

    Attributes:
        recovery: target → seconds from each kill until all was well again.
        lost, doubled: what the oracles say, in words.
        other: whatever else should not have been.
    """

    seed: int
    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    chunks: int = 0
    rows: int = 0
    minutes: float = 0
    load: str = ""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.lost, *self.doubled, *self.other]


def plan(kills: int, seed: int) -> list[tuple[str, float]]:
    """(target, seconds of peace before) of each kill, the same for the same seed; every target is among the first."""
    chance = random.Random(seed)
    targets = [*chance.sample(TARGETS, len(TARGETS)), *chance.choices(TARGETS, k=max(0, kills - len(TARGETS)))]
    return [(target, chance.uniform(0, LONGEST_PEACE_SECONDS)) for target in targets[:kills]]


def crash_test(rig: Rig, steps: Sequence[tuple[str, float]], result: Result) -> None:
    """Kill by the plan in a rig that runs, drain, and hold everything to account."""
    began = time.monotonic()
    rig.warm_up()
    for number, (target, peace) in enumerate(steps, 1):
        time.sleep(peace)
        try:
            result.recovery[target].append(rig.kill(target))
        except TimeoutError as error:
            result.other.append(str(error))
            break
        print(
            f"{number:4} of {len(steps)}: {target:8} well again after {result.recovery[target][-1]:5.1f} s,"
            f" {acknowledged(rig.ledger)} chunks",
            flush=True,
        )
    rig.drain()
    result.load = load_average()
    result.minutes = (time.monotonic() - began) / 60
    judge(rig, result)


def judge(rig: Rig, result: Result, *, poisoned: bool = False) -> None:
    """All oracles over a rig at rest.

    Args:
        poisoned: there are records that no Avro reader takes, so Kafka's chunks are judged by what bronze holds.
    """
    bootstrap, lake = rig.settings.bootstrap, rig.settings.lake
    result.lost += lake_oracles.ledger_covered(rig.ledger, bootstrap, "", lake, DATASETS)
    result.lost += lake_oracles.coverage(bootstrap, "", lake, BRONZE)
    result.doubled += lake_oracles.doubled(lake, BRONZE)
    result.other += [] if poisoned else oracles.problems(bootstrap, "", DATASETS)
    result.other += lake_oracles.chunks_whole(lake, DATASETS)
    result.other += rig.complaints
    result.chunks = len(lake_oracles.acknowledged(rig.ledger))
    result.rows = sum(len(lake_oracles.places(lake, dataset)) for dataset in DATASETS)
    for name in ("lost", "doubled", "other"):
        rig.timeline.note("oracles", name, found=getattr(result, name)[:20])


def upper_layers(rig: Rig, result: Result) -> None:
    """Bring silver and gold up to bronze with the driver stopped, and let `verify --full` compare all of it."""
    if (code := rig.driver.stop()) != 0:
        result.other.append(f"the driver, asked to stop, ended with {code}")
    for arguments in (("run", "all", "--once"), ("verify", "--full")):
        done = rig.run(*arguments)
        if done.returncode:
            result.other.append(
                f"`correnteza {' '.join(arguments)}` ended with {done.returncode}: {done.stdout[-3000:]}"
            )
    result.verify = "`verify --full` consents" if not result.other else "see above"


def markdown(result: Result) -> str:
    """The block for docs/guarantees.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    killed = sum(map(len, result.recovery.values()))
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, seed {result.seed}, commit {commit}, {result.minutes:.0f} minutes;"
        f" machine: {result.load}.",
        "",
        f"**{killed} kills, {result.chunks:,} chunks of {result.rows:,} rows acknowledged and read back:"
        f" {len(result.lost)} lost, {len(result.doubled)} doubled**, {len(result.other)} other complaints.",
        "",
        "| Killed with SIGKILL | times | well again after, median | longest | well again is |",
        "|---|---|---|---|---|",
    ]
    well = {
        "producer": "the next chunk is acknowledged",
        "broker": "it answers, and the next chunk is acknowledged",
        "driver": "bronze holds all that was committed when it was killed",
    }
    for target in TARGETS:
        if seconds := result.recovery.get(target):
            lines.append(
                f"| {target} | {len(seconds)} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s"
                f" | {well[target]} |"
            )
    return "\n".join(lines)


def write(block: str, page: Path = PAGE) -> None:
    """Put the block between the page's markers."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    page.write_text(f"{head}{BEGIN}\n{block}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.harness.crash_test",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="order of the kills (default: SEED, or a random one)")
    parser.add_argument("--no-page", action="store_true", help="leave docs/guarantees.md as it is")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else seed_of(default=random.SystemRandom().randrange(10**6))
    home = Path(tempfile.mkdtemp(prefix="crash-test-"))
    timeline = Timeline(ROOT / "var" / "crash-test" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{seed}.jsonl")
    print(f"SEED={seed}, timeline {timeline.path}, home {home}", flush=True)
    result = Result(seed)
    with Rig(home, timeline) as rig:
        crash_test(rig, plan(arguments.kills, seed), result)
        upper_layers(rig, result)
    timeline.close()
    block = markdown(result)
    print("\n" + block)
    print("\n".join(result.problems) or "nothing lost, nothing doubled")
    if not arguments.no_page:
        write(block)
    if not result.problems:
        shutil.rmtree(home)
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
