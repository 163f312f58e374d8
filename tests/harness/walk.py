"""F35: a seeded walk over the rig. Each step is what happens in operation; the oracles look every 20 steps."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Producer

from schemas.contracts import load
from tests.harness.crash_test import Result, judge, verified
from tests.harness.load import SOURCE
from tests.harness.rig import HOPELESS, TARGETS, Rig

STEPS = ("publish", "kill", "freeze", "restart", "poison", "replay", "verify")
WEIGHTS = (6, 9, 4, 2, 4, 2, 1)
LOOK_EVERY = 20

UNKNOWN_SCHEMA = b"\x00\x00\x0f\x42\x3f" + b"of a schema that nobody registered"
NOT_FRAMED = b"<html>not a record</html>"
EMPTY = b""
POISON = (UNKNOWN_SCHEMA, NOT_FRAMED, EMPTY)


@dataclass(frozen=True)
class Step:
    """One step: what happens, to whom (of kills, freezes and restarts), and how long a freeze is, in seconds."""

    kind: str
    target: str = ""
    seconds: float = 0.0


def plan(count: int, seed: int) -> list[Step]:
    """So many steps, the same for the same seed."""
    chance = random.Random(seed)
    found = []
    for kind in chance.choices(STEPS, WEIGHTS, k=count):
        if kind in {"kill", "freeze"}:
            found.append(Step(kind, chance.choice(TARGETS), round(chance.uniform(0.5, 4), 1)))
        else:
            found.append(Step(kind, chance.choice(("producer", "driver")) if kind == "restart" else ""))
    return found


def walk(rig: Rig, steps: Sequence[Step], result: Result) -> None:
    """Take the steps, check every `LOOK_EVERY` and at the end; stops at the first check that finds something."""
    rig.warm_up()
    for number, step in enumerate(steps, 1):
        rig.timeline.note("step", step.target, number=number, kind=step.kind, for_seconds=step.seconds)
        try:
            take(rig, step)
        except TimeoutError as error:
            result.other.append(f"step {number}, {step}: {error}")
        if number % LOOK_EVERY == 0 or number == len(steps) or result.problems:
            rig.drain()
            judge(rig, result, poisoned=True)
            if result.problems:
                return
            if number < len(steps):
                rig.go_on()
    verified(rig, result)


def take(rig: Rig, step: Step) -> None:
    """One step, until everything works again. Raises: TimeoutError when it never is."""
    match step.kind:
        case "publish":
            rig.until_well("producer", "a chunk to be published")
        case "kill":
            rig.kill(step.target)
        case "freeze":
            rig.freeze(step.target, step.seconds)
        case "restart":
            rig.restart(step.target)
        case "poison":
            poison(rig)
        case "replay":
            _expect(rig, "poll", SOURCE, "--once")  # beside the one that polls: one of the two is fenced
        case "verify":
            _expect(rig, "verify")


def poison(rig: Rig) -> None:
    """Bytes that are no record, into a data topic."""
    producer = Producer({"bootstrap.servers": rig.settings.bootstrap, "log_level": 0})
    for value in POISON:
        producer.produce(load(SOURCE).topic, key=b"poison", value=value)
    producer.flush(60)


def summary(steps: Sequence[Step]) -> str:
    """How often each kind of step is taken."""
    counted = Counter(f"{step.kind} {step.target}".strip() for step in steps)
    return ", ".join(f"{times} x {what}" for what, times in sorted(counted.items()))


def _expect(rig: Rig, *arguments: str) -> None:
    done = rig.run(*arguments)
    if done.returncode in HOPELESS:
        said = (done.stdout + done.stderr)[-2000:]
        rig.complaints.append(f"`correnteza {' '.join(arguments)}` ended with {done.returncode}: {said}")
