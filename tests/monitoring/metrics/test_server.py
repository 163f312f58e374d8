"""The server answers GET and HEAD from memory, keeps its limits, and refuses requests of another site's page."""

import socket
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from foundation.errors import UsageError
from monitoring.metrics import server as served
from monitoring.metrics.server import HEADERS, MOST_AT_ONCE, Answer, Server, serve_when_free
from tests.helpers import PATIENCE_SECONDS, wait_for

HOST = "127.0.0.1"


@contextmanager
def serving(**pages):
    server = Server(HOST, 0, {f"/{name}": page for name, page in pages.items()})
    server.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ask(server, text):
    """What the server answers to these bytes, whole."""
    with socket.create_connection((HOST, server.port), timeout=20) as connection:
        connection.sendall(text.encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts).decode()


def get(server, path="/page", host=None, method="GET"):
    return ask(server, f"{method} {path} HTTP/1.1\r\nHost: {host or f'{HOST}:{server.port}'}\r\n\r\n")


def hello(_headers):
    return Answer(b"hello")


def test_a_page_is_given_with_headers_that_let_it_run_nothing():
    with serving(page=hello) as server:
        head, _, body = get(server).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.0 200")
    assert body == "hello"
    for name, value in HEADERS.items():
        assert f"{name}: {value}" in head
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert "Python" not in head


def test_head_gives_the_headers_alone_and_other_methods_are_refused():
    with serving(page=hello) as server:
        assert get(server, method="HEAD").endswith("Content-Length: 5\r\n\r\n")
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NEWS"):
            assert get(server, method=method).startswith("HTTP/1.0 405"), method
        assert get(server, "/other").startswith("HTTP/1.0 404")


@pytest.mark.parametrize("host", ["localhost", "localhost:9464", "127.0.0.1", "[::1]:9464"])
def test_on_loopback_a_request_that_names_loopback_is_answered(host):
    with serving(page=hello) as server:
        assert get(server, host=host).startswith("HTTP/1.0 200")


REBOUND = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9464", "10.0.0.1", "[", ""]


def answered(server):
    return [f"{host!r} is answered" for host in REBOUND if get(server, host=host or " ").startswith("HTTP/1.0 200")]


def test_control_another_site_s_name_that_leads_here_is_answered_without_the_look_at_the_host(monkeypatch, control):
    with serving(page=hello) as server:
        control.holds(answered, server)
        monkeypatch.setattr(served, "_is_loopback", lambda host: True)
        control.objects(answered, server, damage="'evil.example' is answered")


def test_a_page_that_fails_is_a_500_and_says_nothing_of_why():
    def fail(_headers):
        raise RuntimeError("a secret")

    with serving(page=fail) as server:
        told = get(server)
    assert told.startswith("HTTP/1.0 500")
    assert "secret" not in told


def test_more_connections_than_it_has_places_for_are_refused_and_then_it_goes_on(monkeypatch):
    monkeypatch.setattr(served._Handler, "timeout", PATIENCE_SECONDS)
    monkeypatch.setattr(served, "REQUEST_SECONDS", PATIENCE_SECONDS)
    with serving(page=hello) as server:
        silent = [socket.create_connection((HOST, server.port), timeout=20) for _ in range(MOST_AT_ONCE)]
        wait_for(lambda: get(server).startswith("HTTP/1.0 503"), "a refusal while all places are taken")
        for each in silent:
            each.close()
        wait_for(lambda: get(server).startswith("HTTP/1.0 200"), "an answer once there are places")


def test_a_client_that_trickles_its_request_is_cut_off(monkeypatch):
    monkeypatch.setattr(served, "REQUEST_SECONDS", 0.3)
    with serving(page=hello) as server, socket.create_connection((HOST, server.port), timeout=20) as connection:
        connection.sendall(b"GET /page HT")
        assert connection.recv(100) == b""  # the server closes; without the cut it would wait READ_SECONDS


def test_a_port_that_is_taken_is_an_error_that_says_so():
    with serving(page=hello) as server, pytest.raises(UsageError, match=f"{HOST}:{server.port} is taken"):
        Server(HOST, server.port, {})
    with pytest.raises(UsageError, match="cannot be listened on"):
        Server("203.0.113.1", 0, {})


def test_beside_other_work_a_port_that_is_taken_is_tried_again_until_it_is_free(monkeypatch):
    monkeypatch.setattr(served, "AGAIN_SECONDS", 0.05)
    taken = Server(HOST, 0, {"/page": hello})
    port = taken.port
    end = serve_when_free(HOST, port, {"/page": lambda headers: Answer(b"later")}, "stream")
    assert not end.is_set()
    taken.server_close()

    def later():
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/page", timeout=5) as found:
                return found.read() == b"later"
        except (urllib.error.URLError, ConnectionError):
            return False

    wait_for(later, "the second server has the port")
    end.set()


def test_a_page_that_hangs_keeps_no_other_waiting():
    go_on = threading.Event()

    def slow(_headers):
        go_on.wait(PATIENCE_SECONDS)
        return Answer(b"")

    with serving(slow=slow, page=hello) as server:
        hanging = threading.Thread(target=get, args=(server, "/slow"))
        hanging.start()
        assert get(server).startswith("HTTP/1.0 200")
        go_on.set()
        hanging.join(20)
