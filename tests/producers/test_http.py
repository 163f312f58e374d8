"""The HTTP layer against a scripted server: what is retried, resumed, refused."""

import io
import re
from datetime import UTC, datetime

import pytest
import stamina
from werkzeug import Request, Response

from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent, TransientError
from producers import http
from producers.answers import Answer, InvalidAnswer, Version, sniff
from producers.http import Client
from replay.content import DATA

BODY = bytes(range(256)) * 40
MODIFIED = "Tue, 25 Aug 2026 10:56:40 GMT"
HTML = (DATA / "anatel" / "head4000_html_saved_as_data.html").read_bytes()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Retries keep their number and lose their waits."""
    monkeypatch.setattr(http, "_back_off", _without_wait)
    real = stamina.retry_context
    monkeypatch.setattr(
        stamina,
        "retry_context",
        lambda **options: real(**options | {"wait_initial": 0, "wait_max": 0, "wait_jitter": 0}),
    )


BACK_OFF = http._back_off


def _without_wait(error: Exception) -> bool | float:
    found = BACK_OFF(error)
    return found if isinstance(found, bool) else 0.0


@pytest.fixture
def client(httpserver):
    with Client(httpserver.url_for("/data")) as found:
        yield found


class File:
    """A file behind the scripted server: heeds Range and If-Range, and misbehaves on demand.

    Attributes:
        cut: bytes after which each answer ends; None never.
        admits: whether the answer's Content-Length says so; otherwise the connection is dropped too early.
    """

    def __init__(self, body: bytes = BODY, etag: str | None = '"a"') -> None:
        self.body, self.etag, self.cut, self.admits = body, etag, None, False
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        headers = {"Last-Modified": MODIFIED} | ({"ETag": self.etag} if self.etag else {})
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        condition = request.headers.get("If-Range")
        if match is None or (condition and condition not in (self.etag, MODIFIED)):
            return Response(self.body, 200, headers)
        start, end = int(match[1]), int(match[2]) + 1
        sent = self.body[start:end]
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{len(self.body)}", "Content-Length": str(len(sent))}
        return Response(sent[: self.cut] if self.admits else iter([sent[: self.cut]]), 206, headers)


VERSION = Version('"a"', MODIFIED, len(BODY))


def served(httpserver, file: File) -> File:
    httpserver.expect_request("/data/file.zip").respond_with_handler(file)
    return file


def test_asking_fetches_one_byte_and_learns_the_version(httpserver, client):
    file = served(httpserver, File())
    answer = client.ask("file.zip", etag=None, last_modified=None)
    assert (answer.status, answer.version, answer.body) == (206, VERSION, BODY[:1])
    assert answer.version.last_modified == datetime(2026, 8, 25, 10, 56, 40, tzinfo=UTC)
    assert file.requests[0].method == "GET"
    assert "correnteza" in file.requests[0].headers["User-Agent"]


def test_asking_again_sends_the_validators(httpserver, client):
    file = served(httpserver, File())
    client.ask("file.zip", etag='"a"', last_modified=datetime(2026, 8, 25, 10, 56, 40, tzinfo=UTC))
    assert file.requests[0].headers["If-None-Match"] == '"a"'
    assert file.requests[0].headers["If-Modified-Since"] == MODIFIED


def test_a_span_is_fetched_exactly(httpserver, client):
    served(httpserver, File())
    assert client.fetch("file.zip", 100, 300, VERSION) == BODY[100:300]


@pytest.mark.parametrize("admits", [False, True], ids=["connection dropped", "answer shorter than its range"])
def test_a_download_resumes_where_each_answer_left_it(httpserver, client, admits):
    file = served(httpserver, File())
    file.cut, file.admits = 2000, admits
    into = io.BytesIO()
    client.download("file.zip", (10, 9000), VERSION, into)
    assert into.getvalue() == BODY[10:9000]
    starts = [int(request.headers["Range"].split("=")[1].split("-")[0]) for request in file.requests]
    assert starts == [10, 2010, 4010, 6010, 8010]
    assert {request.headers["If-Range"] for request in file.requests} == {'"a"'}


def test_a_connection_dropped_ever_again_ends_in_an_error(httpserver, client):
    file = served(httpserver, File())
    file.cut = 0
    with pytest.raises(TransientError):
        client.download("file.zip", (0, 9000), VERSION, io.BytesIO())
    assert len(file.requests) == http.RESUMES


@pytest.mark.parametrize("etag", ['"b"', None], ids=["server heeds If-Range", "server sends the new file's length"])
def test_a_file_replaced_in_mid_download_is_given_up_at_once(httpserver, client, etag):
    """Half of each version would be a zip whose directory lies about its members."""
    file = served(httpserver, File(BODY + b"more", etag))
    with pytest.raises(TransientError, match="replaced"):
        client.download("file.zip", (0, 9000), VERSION, io.BytesIO())
    assert len(file.requests) == 1


def test_a_server_that_ignores_if_range_is_found_out_by_its_etag(httpserver, client):
    def stubborn(request: Request) -> Response:
        headers = {"ETag": '"b"', "Content-Range": f"bytes 0-99/{len(BODY)}"}
        return Response(BODY[:100], 206, headers)

    httpserver.expect_request("/data/file.zip").respond_with_handler(stubborn)
    with pytest.raises(TransientError, match="replaced"):
        client.fetch("file.zip", 0, 100, VERSION)


def test_another_range_than_asked_for_is_refused(httpserver, client):
    headers = {"ETag": '"a"', "Content-Range": f"bytes 1-100/{len(BODY)}"}
    httpserver.expect_request("/data/file.zip").respond_with_data(BODY[1:101], 206, headers)
    with pytest.raises(InvalidContent, match="another range"):
        client.fetch("file.zip", 0, 100, VERSION)


@pytest.mark.parametrize("status", sorted(http.RETRIED_STATUSES))
def test_a_passing_failure_is_retried(httpserver, client, status):
    httpserver.expect_ordered_request("/data/body").respond_with_data("no", status)
    httpserver.expect_ordered_request("/data/body").respond_with_data("[]")
    assert client.get("body", {}).body == b"[]"


def test_retries_are_bounded(httpserver, client):
    httpserver.expect_request("/data/body").respond_with_data("no", 503)
    with pytest.raises(TransientError, match="503"):
        client.get("body", {})
    assert len(httpserver.log) == http.ATTEMPTS


@pytest.mark.parametrize("status", [400, 404, 406])
def test_a_refusal_is_an_answer_and_not_retried(httpserver, client, status):
    httpserver.expect_request("/data/body").respond_with_data("no", status)
    assert client.get("body", {}).status == status
    assert len(httpserver.log) == 1


def test_retry_after_is_heeded_up_to_a_cap():
    assert 7 <= BACK_OFF(http._ThrottledError("429", 7.0)) <= 8
    assert BACK_OFF(http._ThrottledError("429", http.MAX_RETRY_AFTER + 1)) is False
    assert BACK_OFF(http._ThrottledError("503", None)) is True


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused_even_to_the_same_host(httpserver, client, status):
    httpserver.expect_request("/data/body").respond_with_data("", status, {"Location": "/data/other"})
    with pytest.raises(CorrentezaError, match="redirect"):
        client.get("body", {})
    assert [request.path for request, _ in httpserver.log] == ["/data/body"]


def test_a_body_above_the_cap_is_refused_without_reading_it_all(httpserver, client, monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1000)
    httpserver.expect_request("/data/body").respond_with_data(BODY)
    with pytest.raises(InvalidContent, match="more than 1000"):
        client.get("body", {})


def test_a_server_that_is_not_there_is_a_dependency_unavailable():
    with Client("http://127.0.0.1:9/") as gone, pytest.raises(DependencyUnavailable):
        gone.get("body", {})


def answer(body: bytes) -> Answer:
    return Answer("http://x/", 200, Version(None, None, None), "application/json", body, datetime.now(UTC))


@pytest.mark.parametrize("media", ["json", "zip"])
@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"  \n",
        b"\xef\xbb\xbf<!DOCTYPE html>",
        b'<?xml version="1.0"?><soap/>',
        b"<HTML>",
        b"CHAVE INV\xc1LIDA!",
    ],
)
def test_what_is_no_data_is_recognised_by_its_first_bytes(media, body):
    with pytest.raises(InvalidAnswer) as caught:
        sniff(answer(body), media)
    assert caught.value.sample == body


@pytest.mark.parametrize(
    ("media", "body"), [("json", b"[]"), ("json", b"\xef\xbb\xbf {}"), ("zip", b"P"), ("zip", b"PK\x03\x04x")]
)
def test_data_pass(media, body):
    sniff(answer(body), media)
