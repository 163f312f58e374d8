"""docker-compose.yml, really started: built, run, killed and removed. `make test-containers`; needs an engine.

The tests stand in the order of a life and share one stack. Nothing is published by them but what the file publishes, so
what they ask they ask from inside.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import ROOT, wait_for

pytestmark = pytest.mark.containers

PROJECT = "correnteza-test"
COMPOSE = ["docker", "compose"] if "DOCKER_COMPOSE_V2" in os.environ else ["docker-compose"]
RUNNING = {"broker", "registry", "schedule-1", "schedule-2", "stream", "monitor", "replay"}
GOLD = "gold.external_factors_daily"

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
    """The services of the profiles core and demo."""

    def __init__(self, env: Path) -> None:
        self._command = [*COMPOSE, "-p", PROJECT, "--env-file", str(env), "--profile", "core", "--profile", "demo"]
        self.seconds: dict[str, float] = {}

    def __call__(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run([*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def inside(self, service: str, *command: str) -> "subprocess.CompletedProcess[str]":
        return self("exec", "-T", service, *command, check=False)

    def states(self) -> dict[str, tuple[str, int]]:
        """Service → (health, or state where it has no health, how often the engine started it again)."""
        found = {}
        for each in inspected("container"):
            state = each["State"]
            health = state.get("Health", {}).get("Status", state["Status"])
            found[each["Config"]["Labels"]["com.docker.compose.service"]] = (health, each["RestartCount"])
        return found

    def wait_healthy(self, seconds: float) -> float:
        """Until every service is; returns the seconds that it took."""
        began = time.monotonic()

        def healthy() -> bool:
            states = self.states()
            return {name for name, (health, _) in states.items() if health == "healthy"} >= RUNNING

        wait_for(healthy, f"every service to be healthy, and not {self.states()}", seconds)
        return time.monotonic() - began

    def kill(self, service: str) -> float:
        """Kill its process; returns the seconds until the engine has started it again and it is healthy."""
        before, began = self.states()[service][1], time.monotonic()
        self.inside(service, "python", "-c", KILL)
        wait_for(lambda: self.states()[service][1] > before, f"{service} to be started again", 60)
        wait_for(lambda: self.states()[service][0] == "healthy", f"{service} to be healthy again", 240)
        return time.monotonic() - began

    def rows(self, query: str) -> list[dict[str, object]]:
        """Of a query over the lake; none while a table is not there."""
        done = self.inside("monitor", "correnteza", "query", query, "--json")
        return list(json.loads(done.stdout)) if done.returncode == 0 else []


def inspected(kind: str) -> list[dict[str, object]]:
    """What the engine has of the project: containers (ended ones too), volumes or networks."""
    listing = ["docker", kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}"]
    listing += ["-a"] if kind == "container" else []
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    if not names:
        return []
    told = subprocess.run(["docker", kind, "inspect", *names], capture_output=True, text=True, check=False).stdout
    return list(json.loads(told or "[]"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    assert shutil.which(COMPOSE[0]), f"no {COMPOSE[0]}: install Docker compose, see docs/containers.md"
    assert subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0, (
        "no engine answers: start one, and name its socket in DOCKER_HOST"
    )
    folder = tmp_path_factory.mktemp("compose")
    subprocess.run([ROOT / ".venv/bin/correnteza", "init", str(folder), "--replay"], check=True, capture_output=True)
    made = Stack(folder / ".env")
    made("down", "-v", "--remove-orphans")
    try:
        began = time.monotonic()
        made("up", "-d", "--no-build")
        made.seconds["up"] = time.monotonic() - began
        made.seconds["healthy"] = made.seconds["up"] + made.wait_healthy(300)
        yield made
    finally:
        logs = made("logs", "--no-color", check=False).stdout
        (ROOT / "build").mkdir(exist_ok=True)
        (ROOT / "build/test-containers.log").write_text(logs)
        made("down", "-v", "--remove-orphans", check=False)
        print({name: round(seconds, 1) for name, seconds in made.seconds.items()})


def test_every_service_becomes_healthy(stack):
    assert {name: state for name, state in stack.states().items() if name in RUNNING} == dict.fromkeys(
        RUNNING, ("healthy", 0)
    )
    assert stack.states()["topics"][0] == "exited"


def test_the_engine_gives_each_container_what_the_file_says(stack):
    published = {}
    for each in inspected("container"):
        name, host = each["Config"]["Labels"]["com.docker.compose.service"], each["HostConfig"]
        published |= {name: host["PortBindings"]} if host["PortBindings"] else {}
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), name
        assert each["Config"]["User"] == "10001:10001", name
    assert published == {"monitor": {"9464/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9464"}]}}


@pytest.mark.parametrize("service", sorted(RUNNING - {"monitor", "schedule-1", "schedule-2"}))
def test_a_container_is_not_root_cannot_write_its_root_and_reaches_nobody_outside(stack, service):
    program = """
import os, socket
assert os.getuid() == 10001, os.getuid()
assert "CapEff:\\t0000000000000000" in open("/proc/self/status").read()
for path in ("/x", "/opt/correnteza/correnteza/x", "/etc/x"):
    try:
        open(path, "w")
        raise SystemExit(f"{path} was written")
    except OSError:
        pass
try:
    socket.create_connection(("1.1.1.1", 443), 3)
    raise SystemExit("it reaches the outside")
except OSError:
    pass
"""
    done = stack.inside(service, "python", "-c", program)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_driver_that_is_killed_during_its_first_load_comes_back(stack):
    wait_for(lambda: stack.rows("SELECT * FROM silver.bcb_sgs LIMIT 1"), "the first rows of silver", 300)
    assert not stack.rows(f"SELECT * FROM {GOLD} LIMIT 1"), "nothing is under way any more"
    stack.seconds["stream killed while loading, healthy again"] = stack.kill("stream")


def verified(stack: Stack) -> bool:
    """Whether `verify` holds, from inside."""
    return stack.inside("stream", "correnteza", "verify").returncode == 0


def test_recorded_publications_reach_gold_and_verify_holds(stack):
    began = time.monotonic()
    wait_for(lambda: stack.rows(f"SELECT * FROM {GOLD} LIMIT 1"), f"rows in {GOLD}", 600)
    stack.seconds["first gold rows"] = time.monotonic() - began
    wait_for(lambda: verified(stack), "verify to hold", 600)
    stack.seconds["verify holds"] = time.monotonic() - began
    assert stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"] > 0


@pytest.mark.parametrize("service", ["stream", "broker", "schedule-1"])
def test_a_killed_container_comes_back_and_nothing_is_lost(stack, service):
    before = stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"]
    stack.seconds[f"{service} killed, healthy again"] = stack.kill(service)
    stack.wait_healthy(240)
    wait_for(lambda: verified(stack), f"verify to hold after {service} was killed", 400)
    assert stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"] >= before


def test_down_with_its_volumes_leaves_nothing(stack):
    began = time.monotonic()
    stack("down", "-v")
    stack.seconds["down"] = time.monotonic() - began
    assert [inspected(kind) for kind in ("container", "volume", "network")] == [[], [], []]
