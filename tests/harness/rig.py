"""Broker, registry, driver, producer and source in one object, for a seeded program that kills and checks them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from correnteza import topics
from correnteza.embedded.service import wait_ready
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from schemas.contracts import load, load_all
from tests import oracles
from tests.harness import progress
from tests.harness.load import SOURCE, YEAR, Editions, acknowledged
from tests.harness.restarted import RestartedCommand, Restarter
from tests.harness.timeline import Timeline
from tests.helpers import ROOT, UNMODIFIED
from tests.seeds import seed_of

DATASETS = ("inmet_hourly", "inmet_stations")
BRONZE = (*DATASETS, "ingest.manifests", "ingest.rejects")
"""What the load reaches."""

RECOVERY_SECONDS = 900.0
"""Longest that a recovery is waited for: no test checks how fast a machine is, and a busy one takes minutes."""

DECIDED_SECONDS = 0.3
"""Of a producer that is stopped or dead: a transaction whose commit it had asked for is decided long before."""

AIMS = 100
"""How often a kill during a transaction looks for an open one; then it is done at any moment."""
AIMS_APART_SECONDS = 0.5
"""At most; a random part of it."""

ROWS, CHUNK_ROWS = 1000, 25
"""Of an edition, and of a chunk: forty transactions one after the other."""

PAUSE_SECONDS = 2.0
"""Between the end of a poll and the next edition."""

HOPELESS = (2, 3)
"""Exit codes that a restart does not heal: one of them ends the promise that all recover by themselves."""

TARGETS = ("producer", "broker", "driver")

Environment = dict[str, str]


class Rig:
    """Everything runs inside the block. `kill` and `restart_broker` belong into the main thread.

    Attributes:
        settings: of all processes, with the addresses of broker and registry.
        ledger: one line per acknowledged chunk, outside of everything that is killed.
        complaints: what should never have happened, in words.
        met_open: how many kills of the producer left a transaction open.
        met_batches: layer → how many kills of the driver left a batch of it undone.
    """

    def __init__(self, home: Path, timeline: Timeline, *, producer: tuple[str, ...] = UNMODIFIED) -> None:
        """Args: producer: the program in place of `python -m correnteza`, for negative controls."""
        self.home, self.timeline = home, timeline
        self.ledger = home / "ledger.jsonl"
        self.complaints: list[str] = []
        self.met_open = 0
        self.met_batches: Counter[str] = Counter()
        self._program = producer
        self._chance = random.Random(seed_of())
        self._cleanup = ExitStack()

    def __enter__(self) -> "Rig":
        try:
            return self._start()
        except BaseException:
            self._cleanup.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def _start(self) -> "Rig":
        settings = Settings(home=self.home.resolve())
        self.stack = self._cleanup.enter_context(Stack(settings))
        self.settings = settings.model_copy(update=self.stack.endpoints)
        topics.apply(self.settings.bootstrap, load_all().values(), "")
        self.editions = Editions(ROWS)
        self._cleanup.callback(self.editions.close)
        self._restarter = self._cleanup.enter_context(Restarter())
        poll = (*self._program, "poll", SOURCE, "--once", "--json")
        self.producer = RestartedCommand(
            "producer", poll, self.home, self.environment, self.timeline, on_end=self._after_poll
        )
        run = (*UNMODIFIED, "run", "all")
        self.driver = RestartedCommand(
            "driver", run, self.home, self.environment, self.timeline, on_end=self._after_driver
        )
        for kept in (self.driver, self.producer):
            self._restarter.add(kept)
        return self

    @property
    def environment(self) -> Environment:
        """The environment of every process of ours."""
        return {
            "PYTHONPATH": str(ROOT),
            "CORRENTEZA_HOME": str(self.settings.home),
            "CORRENTEZA_KAFKA_BOOTSTRAP": self.settings.bootstrap,
            "CORRENTEZA_REGISTRY_URL": self.settings.registry,
            "CORRENTEZA_BASE_URLS": json.dumps({SOURCE: self.editions.base_url}),
            "CORRENTEZA_HISTORY_START": json.dumps({SOURCE: f"{YEAR}-01-01"}),
            "CORRENTEZA_CHUNK_ROWS": str(CHUNK_ROWS),
            "CORRENTEZA_LEDGER": str(self.ledger.resolve()),
            "CORRENTEZA_SPARK_DRIVER_MEMORY": "1500m",
        }

    # Faults

    def kill(self, target: str, *, in_transaction: bool = False) -> float:
        """SIGKILL one of `TARGETS`; what is killed is started again at once. Returns and raises as `strike`.

        Args: in_transaction: of the producer: at a random one of the moments at which a transaction of it stands open.
        """

        def killed() -> None:
            if target == "broker":
                self.kill_broker()
                self.start_broker()
                self.timeline.note("answers", target)
            else:
                self.kept(target).kill()
            if target == "driver":
                found = progress.under_way(self.settings.checkpoints)
                self.met_batches.update({query.partition(".")[0] for query in found})
                self.timeline.note("killed", target, in_a_batch_of=found)

        if target == "producer":
            self._hold_producer(aims=AIMS if in_transaction else 0)
        return self.strike("kill", target, killed)

    def freeze(self, target: str, seconds: float) -> float:
        """SIGSTOP one of `TARGETS`, and SIGCONT after so many seconds. Returns and raises as `strike`."""

        def frozen() -> None:
            self._signal(target, signal.SIGSTOP)
            time.sleep(seconds)
            self._signal(target, signal.SIGCONT)

        return self.strike("freeze", target, frozen)

    def restart(self, target: str) -> float:
        """SIGTERM producer or driver, wait, start it again. Returns and raises as `strike`."""

        def restarted() -> None:
            code = self.kept(target).stop()
            if target == "driver" and code != 0:
                self.complaints.append(f"the driver, asked to stop, ended with {code}")
            self.kept(target).start()

        return self.strike("restart", target, restarted)

    def strike(self, event: str, target: str, action: Callable[[], None]) -> float:
        """Do something to a target and wait until everything works again; returns the seconds in between.

        Well is: for the producer, the next chunk is acknowledged; for the broker, it answers and the next chunk is
        acknowledged; for the driver, bronze has all that was committed when the action was over, and each layer above
        all that the one below had then.

        Raises:
            TimeoutError: all was not well within `RECOVERY_SECONDS`.
        """
        began = time.monotonic()
        self.timeline.note(event, target, chunks=acknowledged(self.ledger))
        action()
        self.until_well(target, f"{target} to be well after {event}")
        seconds = time.monotonic() - began
        self.timeline.note("recovered", target, after=round(seconds, 2))
        return seconds

    def until_well(self, target: str, what: str) -> None:
        """Wait until a target works again. Raises: TimeoutError."""
        if target == "driver":
            self._until_caught_up(what)
        else:
            before = acknowledged(self.ledger)
            self.until(lambda: acknowledged(self.ledger) > before, what)

    def _hold_producer(self, aims: int) -> None:
        """Stop it, to be killed. Args: aims: how often it is resumed because no transaction of it is open."""
        found: list[str] = []

        def is_the_moment() -> bool:
            found[:] = self._open()
            return bool(found) or not aims

        while not self.producer.hold(is_the_moment):
            aims -= 1
            time.sleep(self._chance.uniform(0, AIMS_APART_SECONDS))
        self.met_open += bool(found)
        self.timeline.note("held", "producer", with_an_open_transaction_in=found)

    def _open(self) -> list[str]:
        """Topics of an open transaction of the producer, which stands stopped; none that is being committed."""
        time.sleep(DECIDED_SECONDS)
        return progress.undecided(self.settings.bootstrap, BRONZE)

    def kept(self, target: str) -> RestartedCommand:
        """Producer or driver."""
        return {"producer": self.producer, "driver": self.driver}[target]

    def _signal(self, target: str, number: signal.Signals) -> None:
        if target == "broker":
            self.stack.processes["broker"].send_signal(number)
        else:
            self.kept(target).freeze(number)

    def kill_broker(self) -> None:
        """SIGKILL, and wait until it has ended."""
        self.stack.processes["broker"].send_signal(signal.SIGKILL)
        self.stack.processes["broker"].wait(30)

    def start_broker(self) -> None:
        """Start it again, as the supervisor of `correnteza up` does, and wait until it answers."""
        service = self.stack.services["broker"]
        self.stack.run(service)
        wait_ready(service, self.stack.processes["broker"].poll)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """An unmodified command to its end, noted in the timeline. It never raises by its code."""
        done = subprocess.run(
            [sys.executable, *UNMODIFIED, *arguments],
            env={**os.environ, **self.environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        self.timeline.note("ran", " ".join(arguments), code=done.returncode, said=done.stderr[-2000:])
        return done

    # Progress

    def _until_caught_up(self, what: str) -> None:
        """Wait until bronze has read all that is committed now, and each layer above what the one below then holds."""
        checkpoints, ends = self.settings.checkpoints, progress.ends(self.settings.bootstrap, BRONZE)
        self.until(self._reads(lambda: progress.unread(checkpoints, ends)), f"{what}: bronze")
        for layer in progress.UPPER:
            wanted = progress.below(self.settings.lake_root, layer)
            self.until(self._reads(lambda wanted=wanted: progress.behind(checkpoints, wanted)), f"{what}: {layer}")

    def _reads(self, behind: Callable[[], list[str]]) -> Callable[[], bool]:
        def caught_up() -> bool:
            try:
                return not behind()
            except (OSError, ValueError):
                return False  # a file that is being written or removed

        return caught_up

    def until(self, condition: Callable[[], Any], what: str, seconds: float = RECOVERY_SECONDS) -> None:
        """Wait for a condition. Raises: TimeoutError."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self.timeline.note("in vain", what)
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
            time.sleep(0.05)

    def warm_up(self) -> None:
        """Wait until the first chunks are in every layer."""
        self.until(lambda: acknowledged(self.ledger) > 3, "the first chunks")
        self._until_caught_up("the first chunks to be in every layer")

    def drain(self) -> None:
        """Let the poll that runs end, and every layer read everything."""
        self.producer.finish()
        for contract in map(load, BRONZE):
            oracles.end_offsets(self.settings.bootstrap, [contract.topic])
        self._until_caught_up("every layer to have everything")
        self.timeline.note("drained", chunks=acknowledged(self.ledger))

    def go_on(self) -> None:
        """Poll again, after `drain`: first what is served, which the last poll may not have read to its end."""
        self.producer.start()

    # What ends by itself

    def _after_poll(self, code: int) -> None:
        self._never(code, "a poll")
        if code == 0:
            time.sleep(PAUSE_SECONDS)
            self.editions.publish()

    def _after_driver(self, code: int) -> None:
        self._never(code, "the driver")

    def _never(self, code: int, who: str) -> None:
        if code in HOPELESS:
            self.complaints.append(f"{who} ended with code {code}, which no restart heals")


def load_average() -> str:
    """The machine's load, as a report gives it."""
    one, five, _ = psutil.getloadavg()
    return f"{psutil.cpu_count()} cores, load {one:.1f} (1 min), {five:.1f} (5 min)"
