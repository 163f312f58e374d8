"""docker-compose.yml, really started, for the tests of its profiles: they need an engine (docs/containers.md).

Nothing is published by them but what the file publishes, so what they ask they ask from inside.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers import ROOT, wait_for

PROJECT = "correnteza-test"
COMPOSE = ["docker", "compose"] if "DOCKER_COMPOSE_V2" in os.environ else ["docker-compose"]
CORE = frozenset({"broker", "registry", "schedule-1", "schedule-2", "stream", "monitor"})
DEMO = frozenset({"replay"})

# Ends what the container's first process (the init) started: as a crash does. After `docker kill` the engine starts
# nothing again.
KILL = """
import os, signal
for each in filter(str.isdigit, os.listdir("/proc")):
    try:
        parent = int(open(f"/proc/{each}/stat").read().rpartition(")")[2].split()[1])
    except OSError:
        continue
    if parent == 1 and int(each) != os.getpid():
        os.kill(int(each), signal.SIGKILL)
"""


class Stack:
    """The services of some profiles.

    Attributes:
        name: of what it leaves in build/.
        services: those that run all the time; others do something once, and end.
        seconds: what took how long.
    """

    def __init__(self, env: Path, profiles: tuple[str, ...], services: Set[str]) -> None:
        chosen = [part for profile in profiles for part in ("--profile", profile)]
        self._command = [*COMPOSE, "-p", PROJECT, "--env-file", str(env), *chosen]
        self.name = profiles[-1]
        self.services = services
        self.seconds: dict[str, float] = {}

    def __call__(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def inside(self, service: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in its container; by the engine, because compose v1 takes a second of CPU to begin."""
        (container,) = _ids("container", f"com.docker.compose.service={service}")
        return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=False)

    def states(self) -> dict[str, tuple[str, int]]:
        """Service → (health, or state where it has no health, how often the engine started it again)."""
        found = {}
        for each in inspected("container"):
            state = each["State"]
            health = state.get("Health", {}).get("Status", state["Status"])
            found[each["Config"]["Labels"]["com.docker.compose.service"]] = (health, each["RestartCount"])
        return found

    def remove(self) -> None:
        """Containers, volumes and networks; their logs stay in build/test-containers-….log."""
        logs = self("logs", "--no-color", check=False).stdout
        (ROOT / f"build/test-containers-{self.name}.log").write_text(logs)
        self("down", "-v", "--remove-orphans")

    def wait_healthy(self, seconds: float) -> float:
        """Until every service is; returns the seconds that it took."""
        began = time.monotonic()

        def healthy() -> bool:
            states = self.states()
            return {name for name, (health, _) in states.items() if health == "healthy"} >= self.services

        wait_for(healthy, f"every service to be healthy, and not {self.states()}", seconds)
        return time.monotonic() - began

    def kill(self, service: str) -> float:
        """Kill its process; returns the seconds until the engine has started it again and it is healthy."""
        before, began = self.states()[service][1], time.monotonic()
        self.inside(service, "python", "-c", KILL)
        wait_for(lambda: self.states()[service][1] > before, f"{service} to be started again")
        wait_for(lambda: self.states()[service][0] == "healthy", f"{service} to be healthy again")
        return time.monotonic() - began

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Of a query over the lake; none while a table is not there."""
        done = self.inside("monitor", "correnteza", "query", query, "--json")
        return list(json.loads(done.stdout)) if done.returncode == 0 else []

    def verified(self) -> bool:
        """Whether `verify` holds, from inside."""
        return self.inside("stream", "correnteza", "verify").returncode == 0


def inspected(kind: str) -> list[dict[str, Any]]:
    """What the engine has of the project: containers (ended ones too), volumes or networks."""
    names = _ids(kind)
    if not names:
        return []
    told = subprocess.run(["docker", kind, "inspect", *names], capture_output=True, text=True, check=False).stdout
    return list(json.loads(told or "[]"))


def _ids(kind: str, *labels: str) -> list[str]:
    """Of what the engine has of the project with these labels."""
    wanted = (f"com.docker.compose.project={PROJECT}", *labels)
    listing = ["docker", kind, "ls", "-q", *(part for each in wanted for part in ("--filter", f"label={each}"))]
    listing += ["-a"] if kind == "container" else []
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()


@contextmanager
def started(
    folder: Path,
    profiles: tuple[str, ...],
    services: Set[str],
    *options: str,
    once: Set[str] = frozenset({"topics"}),
    without: str = "",
) -> Iterator[Stack]:
    """Profiles on recorded publications, healthy; removed afterwards.

    Args:
        services: those of the profiles that run all the time; others of the profiles are not started.
        options: of `correnteza init`.
        once: those that do something once, and end.
        without: a variable of .env that is left out.
    """
    assert shutil.which(COMPOSE[0]), f"no {COMPOSE[0]}: install Docker compose, see docs/containers.md"
    assert subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0, (
        "no engine answers: start one, and name its socket in DOCKER_HOST"
    )
    (ROOT / "build").mkdir(exist_ok=True)
    init = [ROOT / ".venv/bin/correnteza", "init", str(folder), "--replay", *options]
    subprocess.run(init, check=True, capture_output=True)
    env = folder / ".env"
    lines = env.read_text().splitlines(keepends=True)
    env.write_text("".join(line for line in lines if not without or not line.startswith(f"{without}=")))
    stack = Stack(env, profiles, services)
    stack("down", "-v", "--remove-orphans")
    try:
        began = time.monotonic()
        stack("up", "-d", "--no-build", *sorted(services | once))
        stack.seconds["up"] = time.monotonic() - began
        stack.seconds["healthy"] = stack.seconds["up"] + stack.wait_healthy(400)
        yield stack
    finally:
        if inspected("container"):
            stack.remove()
        times = {name: round(seconds, 1) for name, seconds in stack.seconds.items()}
        (ROOT / f"build/test-containers-{stack.name}.json").write_text(json.dumps(times, indent=1))
