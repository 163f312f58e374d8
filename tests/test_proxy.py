"""The proxy of the fault tests does what its modes say: a proxy that did nothing would make every test pass."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.helpers import wait_for
from tests.proxy import END_TXN, Proxy


class Echo:
    """A server that sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.received = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            while block := connection.recv(1 << 16):
                self.received += block
                connection.sendall(block)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.socket.close()


@pytest.fixture
def proxy(echo) -> Iterator[Proxy]:
    with Proxy(echo.socket.getsockname()) as running:
        yield running


@pytest.fixture
def client(proxy) -> Iterator[socket.socket]:
    host, port = proxy.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def received(connection: socket.socket, count: int) -> bytes:
    """So many bytes, or what came before the end."""
    found = b""
    while len(found) < count:
        try:
            block = connection.recv(count - len(found))
        except ConnectionResetError:
            break
        if not block:
            break
        found += block
    return found


def test_what_passes_comes_back_unchanged(client):
    data = bytes(range(256)) * 2_000
    threading.Thread(target=client.sendall, args=(data,)).start()
    assert received(client, len(data)) == data


def test_a_black_hole_takes_everything_and_answers_nothing(client, proxy, echo):
    proxy.mode = "blackhole"
    client.sendall(b"hello")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert echo.received == b""


def test_a_connection_that_lost_bytes_in_a_black_hole_is_hung_up_after_it_and_others_pass(client, proxy, echo):
    host, port = proxy.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as idle:
        idle.sendall(b"a")
        assert received(idle, 1) == b"a"
        proxy.mode = "blackhole"
        client.sendall(b"lost")
        wait_for(lambda: proxy.lost == len(b"lost"), "the black hole to have taken it")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.mode = "pass"
        client.settimeout(10)
        assert received(client, 1) == b""
        idle.sendall(b"b")
        assert received(idle, 1) == b"b"
    assert echo.received == b"ab"


def test_reset_ends_open_connections_and_new_ones(client, proxy):
    client.sendall(b"a")
    assert received(client, 1) == b"a"
    proxy.mode = "reset"
    assert received(client, 1) == b""
    host, port = proxy.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as another:
        assert received(another, 1) == b""


def test_delay_and_throttle_take_their_time(client, proxy):
    proxy.mode, proxy.delay_seconds = "delay", 0.2
    began = time.monotonic()
    client.sendall(b"a")
    assert received(client, 1) == b"a"
    assert time.monotonic() - began >= 0.4, "once in each direction"
    proxy.mode, proxy.bytes_per_second = "throttle", 10_000
    began = time.monotonic()
    client.sendall(bytes(3_000))
    assert len(received(client, 3_000)) == 3_000
    assert time.monotonic() - began >= 0.25


def test_cut_ends_the_answer_at_its_byte(client, proxy, echo):
    proxy.mode, proxy.cut_after = "cut", 700
    client.sendall(bytes(5_000))
    assert len(received(client, 5_000)) == 700
    assert len(echo.received) == 5_000


def test_half_close_ends_the_answers_and_goes_on_taking_requests(client, proxy, echo):
    proxy.mode = "half-close"
    client.sendall(b"first")
    assert received(client, 5) == b""
    client.sendall(b"second")
    wait_for(lambda: echo.received == b"firstsecond", "both to have arrived")


def frame(api_key: int, correlation_id: int, size: int = 100) -> bytes:
    body = struct.pack(">hhi", api_key, 5, correlation_id) + bytes(size)
    return struct.pack(">I", len(body)) + body


def test_the_reply_to_an_end_of_transaction_is_kept_back_and_no_other(client, proxy):
    """The echo's answer begins with the API key: as a correlation id, a number that its request must carry."""
    proxy.swallow = lambda number: number == 2
    as_id = struct.unpack(">i", struct.pack(">hh", END_TXN, 5))[0]
    others = frame(0, 1) + frame(END_TXN, 7) + frame(3, 9, size=70_000)
    client.sendall(others[:9])  # a head in two pieces
    client.sendall(others[9:])
    assert received(client, len(others)) == others
    assert (proxy.end_txns, proxy.swallowed) == (1, 0)
    client.sendall(frame(END_TXN, as_id))
    assert received(client, 1) == b""
    assert (proxy.end_txns, proxy.swallowed) == (2, 1)


def test_a_reply_that_is_held_leaves_its_connection_open_without_data(client, proxy, echo):
    proxy.swallow, proxy.holds = lambda number: True, True
    as_id = struct.unpack(">i", struct.pack(">hh", END_TXN, 5))[0]
    request = frame(END_TXN, as_id)
    client.sendall(request)
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.sendall(frame(3, 1))
    with pytest.raises(TimeoutError):
        client.recv(1)
    wait_for(lambda: (len(echo.received), proxy.swallowed) == (2 * len(request), 1), "both requests to have passed")
