"""Places at a host, the hosts of a source, and which addresses count as public."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import httpcore2
import httpx2
import pytest

from foundation.errors import CorrentezaError, TransientError
from producers.fetch import addresses, hosts
from producers.fetch.addresses import Deadline, is_public, refuse_private, resolve
from producers.fetch.hosts import AllowedAddresses, Hosts
from tests.helpers import PATIENCE_SECONDS, wait_for


class Clock:
    """A clock that advances only during `sleep`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock) -> Hosts:
    return Hosts(clock, clock.sleep)


def begin(limits: Hosts, clock: Clock, host: str, pause: float) -> float:
    with limits.place(host, pause):
        return clock.now - 1000.0


def test_requests_to_one_host_begin_a_pause_apart(limits, clock):
    assert [begin(limits, clock, "a", 0.25) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]


def test_control_without_a_pause_they_begin_at_once(limits, clock, control):
    def too_soon(host: str, pause: float) -> list[str]:
        """Requests that begin less than a quarter of a second after the one before."""
        began = [begin(limits, clock, host, pause) for _ in range(4)]
        return [f"two requests {later - one:.2f} s apart" for one, later in pairwise(began) if later - one < 0.25]

    control.holds(too_soon, "a", 0.25)
    control.objects(too_soon, "b", 0.0, damage="two requests 0.00 s apart")


def test_hosts_do_not_wait_for_each_other(limits, clock):
    assert [begin(limits, clock, host, 5.0) for host in "abc"] == [0.0, 0.0, 0.0]


def test_a_request_that_took_longer_than_the_pause_needs_no_further_wait(limits, clock):
    with limits.place("a", 1.0):
        clock.sleep(7.0)
    with limits.place("a", 1.0) as waited:
        assert waited == 0.0


def test_of_two_clients_of_a_host_the_longer_pause_counts(limits, clock):
    assert [begin(limits, clock, "a", pause) for pause in (1.0, 3.0, 0.0, 0.0)] == [0.0, 3.0, 6.0, 6.0]


def test_the_time_waited_is_returned(limits):
    with limits.place("a", 2.0) as waited:
        assert waited == 0.0
    with limits.place("a", 2.0) as waited:
        assert waited == 2.0


class ConcurrentRequests:
    """Requests of several threads to one host; each lasts until it is released.

    Attributes:
        most: requests that were under way at the same moment.
    """

    def __init__(self, limits: Hosts, host: str, count: int) -> None:
        self._hosts, self._host = limits, host
        self._go = threading.Event()
        self._lock = threading.Lock()
        self.inside = self.most = self.done = 0
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with self._hosts.place(self._host, 0.0):
            with self._lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            self._go.wait(PATIENCE_SECONDS)
            with self._lock:
                self.inside -= 1
                self.done += 1

    def release(self) -> None:
        self._go.set()
        for thread in self._threads:
            thread.join(30)


def test_two_requests_at_a_time_are_under_way_at_a_host(limits):
    requests = ConcurrentRequests(limits, "a", 6)
    other = ConcurrentRequests(limits, "b", 1)
    wait_for(lambda: requests.inside == 2 and other.inside == 1, "the first two, and one at another host")
    requests.release()
    other.release()
    assert (requests.done, requests.most) == (6, hosts.MAX_AT_ONCE)


def test_control_without_the_limit_all_of_them_are_under_way(limits, monkeypatch, control):
    def too_many(host: str, expected: int) -> list[str]:
        requests = ConcurrentRequests(limits, host, 6)
        wait_for(lambda: requests.inside == expected, "those that may begin")
        requests.release()
        return [f"{requests.most} requests at once at {host}"] if requests.most > 2 else []

    control.holds(too_many, "a", 2)
    monkeypatch.setattr(hosts, "MAX_AT_ONCE", 6)
    control.objects(too_many, "b", 6, damage="6 requests at once at b")


def test_waiting_for_a_place_has_a_limit(limits, monkeypatch):
    monkeypatch.setattr(hosts, "MAX_PLACE_WAIT", 0.01)
    with limits.place("a", 0.0), limits.place("a", 0.0):
        third = limits.place("a", 0.0)
        with pytest.raises(TransientError, match="busy"):
            third.__enter__()


def test_a_request_that_fails_gives_its_place_back(limits):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), limits.place("a", 0.0):
            raise ZeroDivisionError


SOURCE = AllowedAddresses("https://data.example/open", ("files.example",), is_mirror=False)
ASKED = httpx2.URL("https://data.example/open/x")


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("y", "https://data.example/open/y"),
        ("/y?z=1#part", "https://data.example/y?z=1"),
        ("//files.example/y", "https://files.example/y"),
        ("HTTPS://FILES.EXAMPLE:443/y", "https://files.example/y"),
    ],
)
def test_a_redirect_may_lead_to_the_sources_own_hosts(location, leads_to):
    assert str(SOURCE.hop(ASKED, location)) == leads_to


@pytest.mark.parametrize(
    "location",
    [
        "http://data.example/open/x",  # no longer secured
        "https://elsewhere.example/",
        "https://sub.data.example/",
        "https://data.example.elsewhere.example/",
        "https://data.example./",
        "https://data.example@elsewhere.example/",
        "https://user:word@data.example/",
        "https://data.example:8443/",
        "https://files.example:22/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[",
        "https://[::1",
        "https://data.example:99999/",
        "https://\x00/",
        "file:///etc/passwd",
        "javascript:x",
        "https://data.example/" + "a" * 70_000,
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(location):
    with pytest.raises(CorrentezaError):
        SOURCE.hop(ASKED, location)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:81/", "https://127.0.0.1/", "http://10.0.0.7:8080/", "http://[::1]:8080/"]
)
def test_from_a_mirror_no_other_port_and_no_other_machine_is_reached(location):
    mirror = AllowedAddresses("http://127.0.0.1:8080/", ("data.example",), is_mirror=True)
    with pytest.raises(CorrentezaError, match="not among its hosts"):
        mirror.hop(httpx2.URL("http://127.0.0.1:8080/x"), location)


PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%lo",
    "fc00::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "64:ff9b:1::808:808",
    "fec0::1",
    "::7f00:1",
    "::ffff:0:808:808",
    "100::1",
    "5f00::1",
    "fe80::1%eth0",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_public_internet_is_known_as_such(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["200.160.2.3", "8.8.8.8", "2001:12ff::10", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_known_as_one(address):
    assert is_public(address)


def public(given):
    """The oracle: which of some private addresses would be connected to."""
    return [f"{each} counts as public" for each in given if is_public(each)]


def test_control_by_python_s_own_list_alone_addresses_of_a_local_network_are_asked(monkeypatch, control):
    control.holds(public, PRIVATE)
    monkeypatch.setattr(addresses, "GLOBAL_UNICAST", ipaddress.IPv6Network("::/0"))
    # The other one that Python 3.11 takes for public, 64:ff9b:1::808:808, is private to Python 3.13.
    control.objects(public, PRIVATE, damage="fec0::1 counts as public")


def test_one_private_address_among_the_public_ones_is_enough_to_refuse_a_name():
    refuse_private("data.example", ["8.8.8.8", "2001:12ff::10"])
    with pytest.raises(CorrentezaError, match=r"data\.example: its address 10\.0\.0\.1"):
        refuse_private("data.example", ["8.8.8.8", "10.0.0.1"])


def test_every_address_of_a_name_is_found_up_to_a_cap(monkeypatch):
    def many(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"8.8.8.{n // 2}", 443)) for n in range(100)]

    monkeypatch.setattr(socket, "getaddrinfo", many)
    assert resolve("data.example", 443) == [f"8.8.8.{n}" for n in range(addresses.MAX_ADDRESSES)]


@pytest.mark.parametrize("name", ["", "a" * 70, "no-such-host.invalid"])
def test_a_name_without_an_address_is_a_failed_connection(name, monkeypatch):
    def unknown(host: str, *_: object, **__: object) -> Iterator[object]:
        host.encode("idna")
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(httpcore2.ConnectError, match="has no address"):
        resolve(name, 443)


def test_a_deadline_shortens_a_timeout_and_then_forbids_waiting(monkeypatch):
    monkeypatch.setattr(addresses, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    deadline = Deadline(10)
    assert deadline.bound(60) == 10
    assert deadline.bound(3) == 3
    assert deadline.bound(None) == 10
    deadline.extend(-11)
    with pytest.raises(httpcore2.ReadTimeout, match="deadline"):
        deadline.bound(3)
