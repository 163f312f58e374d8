"""`make crash-test KILLS=100 SEED=...`: random kill -9 of producer, broker and driver under steady load.

Unmodified processes over an embedded broker and registry in a temporary home: `correnteza poll inmet_hourly` again and
again, each time of a newer edition of 1,000 rows in forty transactions, and `correnteza run all`: bronze, silver and
gold run under the kills. What was killed is started again at once; the next kill comes when all is well again, and a
random moment later; half of the producer's kills wait for a moment at which a transaction of it stands open. At the end
everything is read back by readers of the tests' own (tests/oracles.py, tests/lake_oracles.py, tests/judges.py) and
`correnteza verify --full` has its say. Exit code 1 if anything was lost or doubled, did not recover by itself, or
if of many kills of the producer none met an open transaction. The result is printed as a block of Markdown; `--page`
puts it into docs/guarantees.md.
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

from tests import edition_oracles, lake_oracles, oracles
from tests.harness.load import acknowledged
from tests.harness.rig import BRONZE, DATASETS, TARGETS, Rig, load_average
from tests.harness.timeline import Timeline
from tests.judges import silver_and_gold
from tests.seeds import seed_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
LAYERS = ("bronze", "silver", "gold")
BEGIN, END = "<!-- crash-test -->", "<!-- /crash-test -->"
LONGEST_PEACE_SECONDS = 1.5
"""Between a recovery and the next kill lies a random part of this."""
MANY_KILLS = 4
"""Of the producer: at least so many kills must be during an open transaction, or the run proves nothing."""


@dataclass(frozen=True)
class Kill:
    """One kill of the plan: after so many seconds without a kill; of a producer perhaps during a transaction."""

    target: str
    peace: float
    in_transaction: bool = False


@dataclass
class Result:
    """The result of a run.

    Attributes:
        recovery: target → seconds from each kill until all was well again.
        met_open: kills of the producer that left a transaction open, which its successor had to abort.
        met_batches: layer → kills of the driver that left a batch of it planned and not done.
        lost, doubled: what the oracles say, in words.
        other: whatever else should not have been.
    """

    seed: int
    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    met_open: int = 0
    met_batches: dict[str, int] = field(default_factory=dict)
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


def plan(kills: int, seed: int) -> list[Kill]:
    """So many kills, the same for the same seed; every target is among the first."""
    chance = random.Random(seed)
    targets = [*chance.sample(TARGETS, len(TARGETS)), *chance.choices(TARGETS, k=max(0, kills - len(TARGETS)))]
    return [
        Kill(target, chance.uniform(0, LONGEST_PEACE_SECONDS), target == "producer" and chance.random() < 0.5)
        for target in targets[:kills]
    ]


def crash_test(rig: Rig, steps: Sequence[Kill], result: Result) -> None:
    """Kill by the plan in a running rig, drain it, and check everything."""
    began = time.monotonic()
    rig.warm_up()
    for number, step in enumerate(steps, 1):
        time.sleep(step.peace)
        try:
            result.recovery[step.target].append(rig.kill(step.target, in_transaction=step.in_transaction))
        except TimeoutError as error:
            result.other.append(str(error))
            break
        print(
            f"{number:4} of {len(steps)}: {step.target:8} well again after {result.recovery[step.target][-1]:5.1f} s,"
            f" {acknowledged(rig.ledger)} chunks",
            flush=True,
        )
    rig.drain()
    result.load = load_average()
    result.minutes = (time.monotonic() - began) / 60
    result.met_open, result.met_batches = rig.met_open, dict(rig.met_batches)
    result.other += too_few_in_transactions(len(result.recovery["producer"]), result.met_open)
    judge(rig, result)


def too_few_in_transactions(kills: int, met_open: int) -> list[str]:
    """Whether no kill of many was during an open transaction: then half a chunk was not tested."""
    missed = kills >= MANY_KILLS and not met_open
    return [f"none of {kills} kills of the producer met an open transaction"] if missed else []


def judge(rig: Rig, result: Result, *, poisoned: bool = False) -> None:
    """All oracles over a rig at rest.

    Args:
        poisoned: there are records that no Avro reader takes, so Kafka's chunks are judged by what bronze holds.
    """
    bootstrap, lake = rig.settings.bootstrap, rig.settings.lake_root
    result.lost += lake_oracles.ledger_covered(rig.ledger, bootstrap, "", lake, DATASETS)
    result.lost += lake_oracles.coverage(bootstrap, "", lake, BRONZE)
    result.lost += edition_oracles.not_as_served(rig.editions.served, bootstrap, "", lake)
    result.doubled += lake_oracles.doubled(lake, BRONZE)
    result.other += [] if poisoned else oracles.problems(bootstrap, "", DATASETS)
    result.other += lake_oracles.chunks_whole(lake, DATASETS)
    result.other += silver_and_gold(
        lake, DATASETS, "fact_weather_daily", "dim_weather_station", "external_factors_daily"
    )
    result.other += rig.complaints
    result.chunks = len(lake_oracles.acknowledged(rig.ledger))
    result.rows = sum(len(lake_oracles.places(lake, dataset)) for dataset in DATASETS)
    for name in ("lost", "doubled", "other"):
        rig.timeline.note("oracles", name, found=getattr(result, name)[:20])


def verified(rig: Rig, result: Result) -> None:
    """Stop the driver, and let `verify --full` compare all of the lake."""
    if (code := rig.driver.stop()) != 0:
        result.other.append(f"the driver, asked to stop, ended with {code}")
    done = rig.run("verify", "--full")
    if done.returncode:
        result.other.append(f"`correnteza verify --full` ended with {done.returncode}: {done.stdout[-3000:]}")


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
        f" {len(result.lost)} lost, {len(result.doubled)} doubled**, {len(result.other)} other complaints. Of"
        f" {len(result.recovery['producer'])} kills of the producer {result.met_open} met an open transaction; of"
        f" {len(result.recovery['driver'])} kills of the driver "
        + ", ".join(f"{result.met_batches.get(layer, 0)} met a batch of {layer}" for layer in LAYERS)
        + ".",
        "",
        "| Killed with SIGKILL | times | well again after, median | longest | well again is |",
        "|---|---|---|---|---|",
    ]
    well = {
        "producer": "the next chunk is acknowledged",
        "broker": "it answers, and the next chunk is acknowledged",
        "driver": "bronze holds all that was committed when it was killed, silver and gold what follows from that",
    }
    for target in TARGETS:
        if seconds := result.recovery.get(target):
            lines.append(
                f"| {target} | {len(seconds)} | {statistics.median(seconds):.1f} s | {max(seconds):.1f} s"
                f" | {well[target]} |"
            )
    return "\n".join(lines)


def write(block: str, page: Path) -> None:
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
    parser.add_argument("--page", action="store_true", help="put the result into docs/guarantees.md")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else seed_of(default=random.SystemRandom().randrange(10**6))
    home = Path(tempfile.mkdtemp(prefix="crash-test-"))
    timeline = Timeline(ROOT / "var" / "crash-test" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{seed}.jsonl")
    print(f"SEED={seed}, timeline {timeline.path}, home {home}", flush=True)
    result = Result(seed)
    with Rig(home, timeline) as rig:
        crash_test(rig, plan(arguments.kills, seed), result)
        verified(rig, result)
    timeline.close()
    block = markdown(result)
    print("\n" + block)
    print("\n".join(result.problems) or "nothing lost, nothing doubled")
    if arguments.page:
        write(block, PAGE)
    if not result.problems:
        shutil.rmtree(home)
    sys.exit(1 if result.problems else 0)


if __name__ == "__main__":
    main()
