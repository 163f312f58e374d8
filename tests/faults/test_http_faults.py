"""F13 and the HTTP part of F12: wrong and hostile answers of a source, or of an attacker in its place.

The stub records the requests and their times. Each protection has a control: without it the oracle reports the damage.
"""

import io
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
import stamina
from werkzeug import Request, Response

from foundation import clock
from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent, TransientError
from producers import sources
from producers.fetch import addresses, hosts, http, retries
from producers.fetch.answers import ThrottledError, Version
from producers.fetch.http import Client
from tests.controls import complaint, differs
from tests.helpers import wait_for
from tests.producers.socket_server import FakeNetwork, answer, certificate, drip, reset, socket_server

pytestmark = pytest.mark.fault
FAULT = 13
"""Of the tests whose names tell none."""

BODY = bytes(range(256)) * 40
ZIP = "/data/file.zip"


@pytest.fixture
def no_waiting():
    """Retries without their waits; their number is unchanged."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The seconds of each wait between retries, in order; the test does not wait for them."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=found.append))
    return found


@pytest.fixture
def client(httpserver):
    with Client(httpserver.url_for("/data"), is_mirror=True) as found:
        yield found


def mirror(url: str) -> Client:
    return Client(url, is_mirror=True)


def gaps(moments: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(moments)]


def times(httpserver) -> int:
    return len(httpserver.log)


def test_a_429_that_says_how_long_is_asked_again_not_before(httpserver, client, monkeypatch):
    """Real waits: the least that can be stated, one second."""
    monkeypatch.setattr(retries, "WAIT_JITTER", 0.05)
    asked_at: list[float] = []

    def busy_twice(_: Request) -> Response:
        asked_at.append(time.monotonic())
        return Response("[]") if len(asked_at) == 3 else Response("", 429, {"Retry-After": "1"})

    httpserver.expect_request("/data/x").respond_with_handler(busy_twice)
    assert client.get("x", {}).body == b"[]"
    assert all(gap >= 1.0 for gap in gaps(asked_at)), gaps(asked_at)


def test_a_stated_wait_is_kept_with_a_jitter_and_no_longer(httpserver, client, waits):
    httpserver.expect_request("/data/x").respond_with_data("", 429, {"Retry-After": "7"})
    with pytest.raises(ThrottledError):
        client.get("x", {})
    assert len(waits) == http.ATTEMPTS - 1
    assert all(7.0 <= each <= 7.0 + retries.WAIT_JITTER for each in waits), waits


def test_control_where_the_requested_wait_is_ignored_the_times_at_the_stub_show_it(
    httpserver, client, monkeypatch, control
):
    """A real wait and then none: the oracle looks at the times at the stub alone."""
    monkeypatch.setattr(retries, "WAIT_JITTER", 0.05)
    asked_at: list[float] = []
    stated = 1

    def busy(_: Request) -> Response:
        asked_at.append(time.monotonic())
        return Response("[]") if len(asked_at) == 2 else Response("", 429, {"Retry-After": str(stated)})

    def too_soon() -> list[str]:
        asked_at.clear()
        client.get("x", {})
        return [f"asked again after {each:.2f} of {stated} s" for each in gaps(asked_at) if each < stated]

    httpserver.expect_request("/data/x").respond_with_handler(busy)
    control.holds(too_soon)
    stated = 60
    with stamina.set_testing(True, attempts=100, cap=True):
        control.objects(too_soon, damage=("asked again after", " of 60 s"))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_is_too_long_ends_the_poll_with_its_end_time(httpserver, client, status, form):
    began = clock.now()
    moment = began + timedelta(hours=2)
    text = "7200" if form == "seconds" else f"{moment:%a, %d %b %Y %H:%M:%S GMT}"
    httpserver.expect_request("/data/x").respond_with_data("<html>busy</html>", status, {"Retry-After": text})
    with pytest.raises(ThrottledError, match=f"status {status}") as caught:
        client.get("x", {})
    # A date has no fraction of a second.
    assert moment - timedelta(seconds=1) < caught.value.until <= clock.now() + timedelta(hours=2)
    assert isinstance(caught.value, DependencyUnavailable)
    assert times(httpserver) == 1


@pytest.mark.parametrize("text", ["9" * 500, "Fri, 31 Dec 9999 23:59:59 GMT", "999999999"])
def test_an_unreasonable_wait_is_capped_at_a_day(httpserver, client, text):
    httpserver.expect_request("/data/x").respond_with_data("", 429, {"Retry-After": text})
    with pytest.raises(ThrottledError) as caught:
        client.get("x", {})
    assert caught.value.until <= clock.now() + retries.MAX_THROTTLE


@pytest.mark.parametrize("text", ["soon", "-5", "1e3", "Thu, 99 Foo 2026 00:00:00 GMT", "٣"])
def test_a_statement_that_cannot_be_read_is_none(httpserver, client, no_waiting, text):
    headers = {"Retry-After": text.encode().decode("latin-1")}
    httpserver.expect_request("/data/x").respond_with_data("", 429, headers)
    with pytest.raises(TransientError, match="429") as caught:
        client.get("x", {})
    assert not isinstance(caught.value, ThrottledError)
    assert times(httpserver) == http.ATTEMPTS


@pytest.mark.parametrize("status", [429, 503, 500, 504])
def test_without_a_statement_it_is_asked_a_bounded_number_of_times(httpserver, client, no_waiting, status):
    httpserver.expect_request("/data/x").respond_with_data("<html>" + "x" * 1_000_000, status)
    with pytest.raises(TransientError, match=f"status {status}"):
        client.get("x", {})
    assert times(httpserver) == http.ATTEMPTS


def daily(body: bytes) -> timedelta | None:
    return timedelta(hours=9) if b"Daily" in body else None


REASON = b'{"error":true,"reason":"Daily API request limit exceeded. Please try again tomorrow."}'


def test_the_reason_in_the_body_of_a_429_is_applied(httpserver):
    source = replace(sources.load("bcb_sgs"), throttled_for=daily)
    httpserver.expect_request("/x").respond_with_data(REASON, 429)
    began = clock.now()
    with Client.for_source(source, httpserver.url_for("/")) as client, pytest.raises(ThrottledError) as caught:
        client.get("x", {})
    assert began <= caught.value.until - timedelta(hours=9) <= clock.now()
    assert times(httpserver) == 1


def test_control_a_client_that_does_not_know_the_reason_goes_on_asking(httpserver, no_waiting, control):
    httpserver.expect_request("/x").respond_with_data(REASON, 429)

    def asked_too_often(source) -> list[str]:
        before = times(httpserver)
        with Client.for_source(source, httpserver.url_for("/")) as client, suppress(CorrentezaError):
            client.get("x", {})
        asked = times(httpserver) - before
        return [f"asked {asked} times on a day on which it wants to be left alone"] if asked > 1 else []

    plain = sources.load("bcb_sgs")
    control.holds(asked_too_often, replace(plain, throttled_for=daily))
    control.objects(asked_too_often, plain, damage="on a day on which it wants to be left alone")
    assert times(httpserver) == 1 + http.ATTEMPTS


def test_of_a_429_no_more_than_a_sample_is_read_and_not_for_long(monkeypatch, no_waiting):
    monkeypatch.setattr(http, "REASON_SECONDS", 0.1)
    read: list[int] = []

    def measure(body: bytes) -> None:
        read.append(len(body))

    dripping = drip(b"HTTP/1.1 429 Busy\r\n\r\n", 0.02)
    with socket_server(dripping) as stub, Client(stub.url, is_mirror=True, throttled_for=measure) as client:
        began = time.monotonic()
        with pytest.raises(TransientError, match="429"):
            client.get("x", {})
        assert time.monotonic() - began < 120, "a sample of 64 KiB takes twenty minutes at this pace"
    assert read == []
    with socket_server(answer(bytes(3_000_000), status="429 Busy")) as stub:
        client = Client(stub.url, is_mirror=True, throttled_for=measure)
        with client, pytest.raises(TransientError, match="429"):
            client.get("x", {})
    assert read == [64 << 10] * http.ATTEMPTS


def test_the_waits_between_attempts_grow_and_differ(waits):
    away = answer(b"", status="503 Away")
    both = []
    for _ in range(2):
        waits.clear()
        with socket_server(away) as stub, mirror(stub.url) as client, pytest.raises(TransientError):
            client.get("x", {})
        both.append(list(waits))
    assert [len(each) for each in both] == [http.ATTEMPTS - 1] * 2
    assert all(each[-1] > each[0] for each in both), both
    assert both[0] != both[1]


def test_a_reset_is_asked_again_a_bounded_number_of_times(no_waiting):
    with socket_server(reset) as stub, mirror(stub.url) as client, pytest.raises(TransientError, match="ReadError"):
        client.get("x", {})
    assert len(stub.requests) == http.ATTEMPTS


def test_control_after_a_reset_it_is_the_second_attempt_that_has_the_answer(no_waiting, control):
    behaviours: list[Callable] = []

    def next_one(connection) -> None:
        behaviours.pop(0)(connection)

    def unanswered() -> list[str]:
        behaviours[:] = [reset, answer(b"[1]")]
        answered: list[bytes] = []
        return complaint(lambda: answered.append(client.get("x", {}).body)) or differs(answered, [b"[1]"])

    with socket_server(next_one) as stub, mirror(stub.url) as client:
        control.holds(unanswered)
        with stamina.set_testing(True, attempts=1):
            control.objects(unanswered, damage="Connection reset by peer")


DRIPS = {
    "in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "in the headers": b"HTTP/1.1 200 OK\r\nX-Endless: ",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
}


@pytest.mark.parametrize("beginning", DRIPS.values(), ids=DRIPS)
def test_a_source_that_drips_is_given_up_at_the_deadline(monkeypatch, beginning):
    monkeypatch.setattr(http, "BODY_DEADLINE", 0.5)
    with socket_server(drip(beginning, 0.02)) as stub, mirror(stub.url) as client:
        began = time.monotonic()
        with pytest.raises(TransientError):
            client.get("x", {})
        assert 0.4 < time.monotonic() - began < 120, "the headers alone would drip for ever"


def test_control_the_read_timeout_alone_would_wait_for_a_dripping_source(monkeypatch, control):
    """Each byte comes well within the read timeout. The bound of 5 s is ten times the deadline."""
    monkeypatch.setattr(http, "BODY_DEADLINE", 0.5)

    def still_waiting() -> list[str]:
        """Whether a client that has been given its deadline ten times over still waits."""
        ended, stop = threading.Event(), threading.Event()

        def ask() -> None:
            with mirror(stub.url) as client, suppress(TransientError):
                client.get("x", {})
            ended.set()

        with socket_server(drip_until(stop, DRIPS["in the headers"])) as stub, stamina.set_testing(True, attempts=1):
            thread = threading.Thread(target=ask)
            thread.start()
            found = [] if ended.wait(5) else ["after ten times its deadline the client still waits"]
            stop.set()
            thread.join(10)
        return found

    control.holds(still_waiting)
    monkeypatch.setattr(addresses.Deadline, "bound", lambda self, timeout: timeout)
    control.objects(still_waiting, damage="the client still waits")


def drip_until(stop: threading.Event, beginning: bytes):
    """Drip until told to stop, then hang up."""

    def behave(connection) -> None:
        connection.sendall(beginning)
        while not stop.wait(0.02):
            connection.sendall(b"x")

    return behave


def test_one_source_that_drips_does_not_keep_another_waiting(httpserver):
    """The other one has its answer while every place at the first host is held."""
    httpserver.expect_request("/data/x").respond_with_data("[]")
    dripping = drip_until(stop := threading.Event(), DRIPS["in the body"])
    with socket_server(dripping) as stub, stamina.set_testing(True, attempts=1):

        def ask() -> None:
            with mirror(stub.url) as stuck, pytest.raises(TransientError):
                stuck.get("x", {})

        threads = [threading.Thread(target=ask) for _ in range(hosts.MAX_AT_ONCE)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(stub.requests) == hosts.MAX_AT_ONCE, "all places at the dripping host taken")
        with mirror(httpserver.url_for("/data")) as other:
            assert other.get("x", {}).body == b"[]"
        assert all(thread.is_alive() for thread in threads)
        stop.set()
        for thread in threads:
            thread.join(20)


def test_all_clients_of_the_process_keep_the_pause_at_a_host(httpserver, monkeypatch):
    """With a stopped clock each of six requests waits as long as its place in the queue."""
    httpserver.expect_request("/x").respond_with_data("[]")

    def ask(pause: float) -> None:
        url = httpserver.url_for("/")
        with Client(url, is_mirror=True, pause=timedelta(seconds=pause)) as client:
            for _ in range(3):
                client.get("x", {})

    def waited(pause: float) -> list[float]:
        found: list[float] = []
        monkeypatch.setattr(http, "HOSTS", hosts.Hosts(lambda: 0.0, found.append))
        threads = [threading.Thread(target=ask, args=(pause,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return sorted(found)

    assert waited(2.0) == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert waited(0.0) == []  # control: without a pause they come as they come


@pytest.fixture
def names(monkeypatch) -> FakeNetwork:
    return FakeNetwork(monkeypatch)


def test_a_tls_failure_is_retried_and_names_the_host(no_waiting, names):
    names.found["data.example"] = [["8.8.8.8"]]
    with socket_server(answer(b"[]")) as plain, Client("https://data.example/") as client:
        names.routes["8.8.8.8"] = plain.port
        with pytest.raises(TransientError, match=r"data\.example: no trusted TLS connection"):
            client.get("x", {})
        assert names.connected == ["8.8.8.8"] * http.ATTEMPTS


@pytest.mark.parametrize("trusted", [True, False])
def test_only_a_certificate_that_is_trusted_is_enough(no_waiting, names, tmp_path, monkeypatch, trusted):
    file, context = certificate(tmp_path, "data.example")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    names.found["data.example"] = [["8.8.8.8"]]
    with socket_server(answer(b"[]"), context) as stub, Client("https://data.example/") as client:
        names.routes["8.8.8.8"] = stub.port
        if trusted:
            assert client.get("x", {}).body == b"[]"
        else:
            with pytest.raises(TransientError, match=r"data\.example: no trusted TLS.*self-signed"):
                client.get("x", {})
    assert len(stub.requests) == (1 if trusted else 0)


def test_a_certificate_for_another_name_is_not_enough(no_waiting, names, tmp_path, monkeypatch):
    file, context = certificate(tmp_path, "elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    names.found["data.example"] = [["8.8.8.8"]]
    with socket_server(answer(b"[]"), context) as stub, Client("https://data.example/") as client:
        names.routes["8.8.8.8"] = stub.port
        with pytest.raises(TransientError, match=r"data\.example: no trusted TLS.*[Hh]ostname mismatch"):
            client.get("x", {})


def test_a_redirect_loop_is_left_at_once(httpserver, client):
    for here, there in [("a", "b"), ("b", "c"), ("c", "a")]:
        httpserver.expect_request(f"/data/{here}").respond_with_data("", 302, {"Location": f"/data/{there}"})
    with pytest.raises(CorrentezaError, match="redirected in a loop") as caught:
        client.get("a", {})
    assert not isinstance(caught.value, TransientError)
    assert [request.path for request, _ in httpserver.log] == ["/data/a", "/data/b", "/data/c"]


def test_a_chain_of_redirects_is_followed_so_far_and_no_further(httpserver, client):
    for n in range(20):
        httpserver.expect_request(f"/data/{n}").respond_with_data("", 302, {"Location": f"/data/{n + 1}"})
    httpserver.expect_request("/data/20").respond_with_data("[]")
    with pytest.raises(CorrentezaError, match="more than 5 times"):
        client.get("0", {})
    assert times(httpserver) == http.MAX_REDIRECTS + 1
    assert client.get(str(20 - http.MAX_REDIRECTS), {}).body == b"[]"


FORBIDDEN = [
    "http://127.0.0.1:{port}/secret",
    "http://localhost:{port}/secret",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:{port}/secret",
    "http://internal.example/secret",
]


@pytest.mark.parametrize("location", FORBIDDEN)
def test_a_redirect_to_an_address_inside_is_not_followed(names, location):
    """Out of a source's own answer: by number, or by a name that is not listed."""
    names.found = {"data.example": [["8.8.8.8"]], "internal.example": [["10.0.0.7"]], "localhost": [["127.0.0.1"]]}
    with socket_server(answer(b"secret")) as inside:
        to = location.format(port=inside.port)
        with (
            socket_server(answer(b"", status="302 Found", Location=to)) as stub,
            Client("http://data.example/") as client,
        ):
            names.routes = {"8.8.8.8": stub.port}
            names.routes |= dict.fromkeys(("127.0.0.1", "::1", "10.0.0.7", "169.254.169.254"), inside.port)
            with pytest.raises(CorrentezaError, match="not among its hosts"):
                client.get("x", {})
            assert len(stub.requests) == 1
    assert names.connected == ["8.8.8.8"]
    assert inside.requests == []


INSIDE = ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.7", "192.168.0.1", "::ffff:10.0.0.7", "0.0.0.0"]


def listed_host_inside(names: FakeNetwork, address: str, *, found: list[list[str]] | None = None) -> tuple[int, str]:
    """Redirect to a host that the source lists, whose name resolves to an inside address.

    Returns: how many requests came in there, and what the client said.
    """
    names.found = {"data.example": [["8.8.8.8"]], "files.example": found or [[address]]}
    with socket_server(answer(b"secret")) as inside:
        to = "http://files.example/secret"
        with (
            socket_server(answer(b"", status="302 Found", Location=to)) as stub,
            Client("http://data.example/", hosts=("files.example",)) as client,
        ):
            names.routes = {"8.8.8.8": stub.port, "9.9.9.9": stub.port, address: inside.port}
            try:
                said = f"took {client.get('x', {}).body!r}"
            except CorrentezaError as error:
                said = str(error)
        return len(inside.requests), said


@pytest.mark.parametrize("address", INSIDE)
def test_a_listed_name_that_resolves_to_an_address_inside_is_not_connected_to(names, address):
    requests, said = listed_host_inside(names, address)
    assert requests == 0
    assert said == f"files.example: its address {address} is not a public one; not asked"
    assert names.connected == ["8.8.8.8"]


def reached(names: FakeNetwork, address: str, **options) -> list[str]:
    """The oracle: what came in at the address inside."""
    requests, said = listed_host_inside(names, address, **options)
    return [f"{requests} requests came in at {address}: the client {said}"] if requests else []


def test_control_without_the_check_the_inside_is_reached(names, monkeypatch, control):
    control.holds(reached, names, "10.0.0.7")
    monkeypatch.setattr(addresses, "refuse_private", lambda host, found: None)
    control.objects(reached, names, "10.0.0.7", damage="1 requests came in at 10.0.0.7: the client took b'secret'")


def test_a_name_that_resolves_otherwise_the_second_time_gains_nothing(names):
    """DNS rebinding: the connection goes to the address that was checked, not to the name again."""
    requests, said = listed_host_inside(names, "10.0.0.7", found=[["9.9.9.9"], ["10.0.0.7"]])
    assert requests == 0
    assert "redirected in a loop" in said  # by the stub, which stands behind 9.9.9.9 too
    assert names.connected == ["8.8.8.8", "9.9.9.9"]


def test_control_connecting_to_the_name_would_reach_the_inside(names, monkeypatch, control):
    """The addresses are checked, and then the name is connected to, which has another address by then."""
    rebound = {"found": [["9.9.9.9"], ["10.0.0.7"]]}
    control.holds(reached, names, "10.0.0.7", **rebound)
    monkeypatch.setattr(addresses, "resolve", lambda host, port: [names._resolve(host, port) and host])
    monkeypatch.setattr(addresses, "refuse_private", lambda host, found: None)
    control.objects(
        reached, names, "10.0.0.7", **rebound, damage="1 requests came in at 10.0.0.7: the client took b'secret'"
    )


def test_a_source_whose_own_name_resolves_to_an_inside_address_is_not_asked(names):
    names.found = {"data.example": [["127.0.0.1"]]}
    with socket_server(answer(b"[]")) as stub:
        names.routes = {"127.0.0.1": stub.port}
        with Client("http://data.example/") as client, pytest.raises(CorrentezaError, match="not a public one"):
            client.get("x", {})
        assert stub.requests == []
        with mirror("http://data.example/") as own:  # control: the operator's own address may lead there
            assert own.get("x", {}).body == b"[]"


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(names):
    names.found = {"data.example": [["8.8.4.4", "8.8.8.8"]]}
    with socket_server(answer(b"[]")) as stub, Client("http://data.example/") as client:
        names.routes = {"8.8.8.8": stub.port}
        assert client.get("x", {}).body == b"[]"
    assert names.connected == ["8.8.4.4", "8.8.8.8"]


def test_a_redirect_from_https_to_http_is_not_followed(names, tmp_path, monkeypatch):
    file, context = certificate(tmp_path, "data.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    names.found = {"data.example": [["8.8.8.8"]]}
    to = "http://data.example/x"
    with socket_server(answer(b"", status="302 Found", Location=to), context) as stub:
        names.routes = {"8.8.8.8": stub.port}
        with Client("https://data.example/") as client, pytest.raises(CorrentezaError, match="from https to 'http'"):
            client.get("y", {})
        assert len(stub.requests) == 1


VERSION = Version('"a"', None, len(BODY))


def spans(httpserver) -> list[tuple[str, str | None]]:
    return [(request.headers["Range"], request.headers.get("If-Range")) for request, _ in httpserver.log]


def ranged(etag: str | None, body: bytes, *, cut: int | None = None, heeds_if_range: bool = True):
    """A handler that answers spans; it says what it will send and may hang up before."""

    def handle(request: Request) -> Response:
        start, end = (int(text) for text in request.headers["Range"].removeprefix("bytes=").split("-"))
        headers = {"ETag": etag} if etag else {}
        if heeds_if_range and request.headers.get("If-Range", etag) != etag:
            return Response(body, 200, headers)
        sent = body[start : end + 1]
        headers |= {"Content-Range": f"bytes {start}-{end}/{len(body)}", "Content-Length": str(len(sent))}
        return Response(iter([sent[:cut]]), 206, headers)

    return handle


@pytest.mark.parametrize("what", ["get", "fetch", "download"])
def test_a_body_shorter_than_its_content_length_is_never_taken(httpserver, client, no_waiting, what):
    httpserver.expect_request(ZIP).respond_with_handler(ranged('"a"', BODY, cut=100))
    httpserver.expect_request("/data/body").respond_with_handler(
        lambda request: Response(iter([b"[1, 2"]), 200, {"Content-Length": "900"})
    )
    asks = {
        "get": lambda: client.get("body", {}),
        "fetch": lambda: client.fetch("file.zip", 0, 1000, VERSION),
        "download": lambda: client.download("file.zip", (0, 9000), VERSION, io.BytesIO()),
    }
    with pytest.raises(TransientError):
        asks[what]()
    assert times(httpserver) == (http.RESUMES if what == "download" else http.ATTEMPTS)


def test_a_body_of_its_content_length_is_taken(httpserver, client):
    """The counterpart of the test above: not everything is refused."""
    httpserver.expect_request(ZIP).respond_with_handler(ranged('"a"', BODY))
    assert client.fetch("file.zip", 0, 1000, VERSION) == BODY[:1000]


OTHER = BODY[::-1]


@pytest.mark.parametrize("heeds", [True, False], ids=["server heeds If-Range", "server does not"])
def test_of_a_file_replaced_between_two_attempts_nothing_is_mixed(httpserver, client, no_waiting, heeds):
    httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged('"a"', BODY, cut=2000))
    httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged('"b"', OTHER, heeds_if_range=heeds))
    into = io.BytesIO()
    with pytest.raises(TransientError, match="replaced while it was read"):
        client.download("file.zip", (0, 9000), VERSION, into)
    assert into.getvalue() == BODY[:2000]
    assert spans(httpserver) == [("bytes=0-8999", '"a"'), ("bytes=2000-8999", '"a"')]


def test_control_without_the_validators_halves_of_two_files_would_be_mixed(
    httpserver, client, no_waiting, monkeypatch, control
):
    """Equal lengths, and the ETag is not compared."""

    def mixed() -> list[str]:
        httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged('"a"', BODY, cut=2000))
        httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged('"b"', OTHER, heeds_if_range=False))
        into = io.BytesIO()
        with suppress(TransientError):
            client.download("file.zip", (0, 9000), VERSION, into)
        read = into.getvalue()
        is_one = BODY.startswith(read) or OTHER.startswith(read)
        return [] if is_one else [f"{len(read)} bytes, the first 2000 of one file, the others of another"]

    control.holds(mixed)
    monkeypatch.setattr(http, "_differs", lambda found, wanted: False)
    control.objects(mixed, damage="9000 bytes, the first 2000 of one file, the others of another")


def test_a_file_that_became_shorter_is_a_replaced_one(httpserver, client):
    httpserver.expect_request(ZIP).respond_with_data("", 416, {"Content-Range": "bytes */10"})
    with pytest.raises(TransientError, match="replaced"):
        client.fetch("file.zip", 100, 200, VERSION)
    assert times(httpserver) == 1


@pytest.mark.parametrize("etag", [None, 'W/"a"'], ids=["no validator", "a weak one"])
def test_what_nothing_identifies_is_not_resumed_but_begun_again(httpserver, client, no_waiting, etag):
    httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged(etag, BODY, cut=2000))
    httpserver.expect_ordered_request(ZIP).respond_with_handler(ranged(etag, OTHER))
    into = io.BytesIO()
    into.write(b"before")
    client.download("file.zip", (0, 9000), Version(etag, None, len(BODY)), into)
    assert into.getvalue() == b"before" + OTHER[:9000]
    assert spans(httpserver) == [("bytes=0-8999", None)] * 2


def test_a_last_modified_is_enough_to_resume(httpserver, client, no_waiting):
    """The counterpart of the test above: what is identified is not begun again."""
    modified = "Tue, 25 Aug 2026 10:56:40 GMT"
    handle = ranged(None, BODY, cut=4500, heeds_if_range=False)
    httpserver.expect_request(ZIP).respond_with_handler(handle)
    into = io.BytesIO()
    client.download("file.zip", (0, 9000), Version(None, modified, len(BODY)), into)
    assert into.getvalue() == BODY[:9000]
    assert spans(httpserver) == [("bytes=0-8999", modified), ("bytes=4500-8999", modified)]


def test_an_endless_body_is_refused_at_the_cap(monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1 << 20)

    def endless(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")

    with (
        socket_server(endless) as stub,
        mirror(stub.url) as client,
        pytest.raises(InvalidContent, match="more than 1048576"),
    ):
        client.get("x", {})
