"""The profiles core and demo, with the lake on a disk and in the profile s3's object store: run, killed and removed.
`make test-containers`.

The tests stand in the order of a life and share one stack for each place of the lake.
"""

import json
import time

import pytest

from tests.deploy.stack import CORE, DEMO, inspected, started
from tests.helpers import wait_for

pytestmark = pytest.mark.containers

GOLD = "gold.external_factors_daily"
STORE = "object-store"
PLACES = {
    "disk": (("core", "demo"), CORE | DEMO, ()),
    "s3": (("core", "demo", "s3"), CORE | DEMO | {STORE}, ("--in-store",)),
}


@pytest.fixture(scope="module", params=PLACES)
def stack(request, tmp_path_factory):
    profiles, services, options = PLACES[request.param]
    with started(tmp_path_factory.mktemp("compose"), profiles, services, *options) as made:
        yield made


def of_services(stack, *names):
    """Those of the names that the stack has; a store only has one of them."""
    return [name for name in names if name in stack.services]


def test_every_service_becomes_healthy(stack):
    states = stack.states()
    assert {name: states[name] for name in stack.services} == dict.fromkeys(stack.services, ("healthy", 0))
    assert states["topics"][0] == "exited"


def test_a_driver_that_is_killed_during_its_first_load_comes_back(stack):
    wait_for(lambda: stack.rows("SELECT * FROM silver.bcb_sgs LIMIT 1"), "the first rows of silver")
    assert not stack.rows(f"SELECT * FROM {GOLD} LIMIT 1"), "nothing is under way any more"
    stack.seconds["stream killed while loading, healthy again"] = stack.kill("stream")


def test_the_engine_gives_each_container_what_the_file_says(stack):
    published = {}
    for each in inspected("container"):
        name, host = each["Config"]["Labels"]["com.docker.compose.service"], each["HostConfig"]
        published |= {name: host["PortBindings"]} if host["PortBindings"] else {}
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), name
        assert each["Config"]["User"] == "10001:10001", name
    assert published == {"monitor": {"9464/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9464"}]}}


def test_a_container_is_not_root_cannot_write_its_root_and_reaches_nobody_outside(stack):
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
    for service in of_services(stack, "broker", "registry", "stream", "replay", STORE):
        done = stack.inside(service, "python", "-c", program)
        assert done.returncode == 0, service + done.stdout + done.stderr


def test_only_who_has_the_keys_of_the_object_store_reaches_it(stack):
    knocks = "import socket; socket.create_connection(('object-store', 8333), 3)"
    reach = {name for name in stack.services - {STORE} if stack.inside(name, "python", "-c", knocks).returncode == 0}
    wanted = {"stream", "monitor", "schedule-1", "schedule-2"} if STORE in stack.services else set()
    assert reach == wanted


def test_recorded_publications_reach_gold_and_verify_holds(stack):
    began = time.monotonic()
    wait_for(lambda: stack.rows(f"SELECT * FROM {GOLD} LIMIT 1"), f"rows in {GOLD}", 600)
    stack.seconds["first gold rows"] = time.monotonic() - began
    wait_for(stack.verified, "verify to hold", 600)
    stack.seconds["verify holds"] = time.monotonic() - began
    assert stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"] > 0


def test_tables_and_payloads_are_where_the_settings_say_and_nowhere_else(stack):
    list_folder = "import os, json; print(json.dumps(sorted(os.listdir('/var/lib/correnteza'))))"
    on_disk = json.loads(stack.inside("stream", "python", "-c", list_folder).stdout)
    assert ("lake" in on_disk, "archive" in on_disk) == ((False, False) if STORE in stack.services else (True, True))


@pytest.mark.parametrize("service", ["stream", "broker", "schedule-1", STORE])
def test_a_killed_container_comes_back_and_nothing_is_lost(stack, service):
    if service not in stack.services:
        pytest.skip("the lake is on a disk")
    before = stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"]
    stack.seconds[f"{service} killed, healthy again"] = stack.kill(service)
    stack.wait_healthy(240)
    wait_for(stack.verified, f"verify to hold after {service} was killed", 400)
    assert stack.rows(f"SELECT count(*) AS n FROM {GOLD}")[0]["n"] >= before


def test_down_with_its_volumes_leaves_nothing(stack):
    began = time.monotonic()
    stack.remove()
    stack.seconds["down"] = time.monotonic() - began
    assert [inspected(kind) for kind in ("container", "volume", "network")] == [[], [], []]
