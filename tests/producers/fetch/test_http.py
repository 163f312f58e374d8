"""The HTTP layer with a scripted server: requests, retries, resumed downloads, redirects, refusals."""

import gzip
import io
import logging
import re
import traceback
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest
import stamina
from structlog.testing import capture_logs
from werkzeug import Request, Response

from foundation.errors import CorrentezaError, DependencyUnavailable, InvalidContent, TransientError, UsageError
from producers import sources
from producers.fetch import bodies, http, retries
from producers.fetch.answers import SAMPLE_BYTES, Answer, InvalidAnswer, ThrottledError, Version, sniff
from producers.fetch.http import Client
from producers.model import ApiKey
from replay.content import DATA

BODY = bytes(range(256)) * 40
MODIFIED = "Tue, 25 Aug 2026 10:56:40 GMT"
SGS = sources.load("bcb_sgs")
HTML = (DATA / "anatel" / "head4000_html_saved_as_data.html").read_bytes()


@pytest.fixture(autouse=True)
def _no_waiting():
    """Retries keep their number and lose their waits."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def client(httpserver):
    with Client(httpserver.url_for("/data"), is_mirror=True) as found:
        yield found


class File:
    """A file behind the scripted server: supports Range and If-Range, and fails on demand.

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


def test_a_request_of_one_byte_gives_the_version(httpserver, client):
    file = served(httpserver, File())
    answer = client.ask("file.zip", etag=None, last_modified=None)
    assert (answer.status, answer.version, answer.body) == (206, VERSION, BODY[:1])
    assert answer.version.last_modified == datetime(2026, 8, 25, 10, 56, 40, tzinfo=UTC)
    assert file.requests[0].method == "GET"
    assert "correnteza" in file.requests[0].headers["User-Agent"]


@pytest.mark.parametrize(("ahead", "warnings"), [(timedelta(days=400), 1), (timedelta(minutes=2), 0)])
def test_a_last_modified_in_the_future_is_the_moment_of_the_fetch(httpserver, client, ahead, warnings):
    """Believed, it would make every later version an old one until that day. Two clocks may differ a little, though."""
    stated = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
    httpserver.expect_request("/data/body").respond_with_data(BODY, headers={"Last-Modified": stated})
    for question in (lambda: client.get("body", {}), lambda: client.ask("body", etag=None, last_modified=None)):
        with capture_logs() as lines:
            answer = question()
        assert answer.version.last_modified == answer.retrieved_at
        assert answer.version.if_range == stated, "the server is asked with its own words"
        said = {
            "component": "producers",
            "event": "last_modified_ahead",
            "log_level": "warning",
            "url": answer.url,
            "last_modified": stated,
            "taken_for": answer.retrieved_at.isoformat(),
        }
        assert [line for line in lines if line["log_level"] == "warning"] == [said] * warnings


def test_a_last_modified_of_the_past_is_kept_without_a_note(httpserver, client):
    httpserver.expect_request("/data/body").respond_with_data(BODY, headers={"Last-Modified": MODIFIED})
    with capture_logs() as lines:
        answer = client.get("body", {})
    assert answer.version.last_modified == datetime(2026, 8, 25, 10, 56, 40, tzinfo=UTC)
    assert lines == []


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


def test_a_connection_that_is_dropped_each_time_ends_in_an_error(httpserver, client):
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


def test_a_server_that_ignores_if_range_is_detected_by_its_etag(httpserver, client):
    def ignoring_if_range(request: Request) -> Response:
        headers = {"ETag": '"b"', "Content-Range": f"bytes 0-99/{len(BODY)}"}
        return Response(BODY[:100], 206, headers)

    httpserver.expect_request("/data/file.zip").respond_with_handler(ignoring_if_range)
    with pytest.raises(TransientError, match="replaced"):
        client.fetch("file.zip", 0, 100, VERSION)


def test_another_range_than_asked_for_is_refused(httpserver, client):
    headers = {"ETag": '"a"', "Content-Range": f"bytes 1-100/{len(BODY)}"}
    httpserver.expect_request("/data/file.zip").respond_with_data(BODY[1:101], 206, headers)
    with pytest.raises(InvalidContent, match="others, were sent"):
        client.fetch("file.zip", 0, 100, VERSION)


@pytest.mark.parametrize("status", sorted(retries.RETRIED_STATUSES))
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


def throttled(wait: float) -> ThrottledError:
    return ThrottledError("429", until=datetime.now(UTC) + timedelta(seconds=wait), wait=wait)


def test_a_stated_wait_is_kept_with_jitter_up_to_a_cap_and_the_deadline():
    assert 7 <= retries.wait_after(throttled(7.0), left=60) <= 8
    assert len({retries.wait_after(throttled(7.0), left=60) for _ in range(5)}) > 1
    assert retries.wait_after(throttled(retries.MAX_STATED_WAIT + 1), left=1000) is False
    assert retries.wait_after(throttled(7.0), left=5) is False
    assert retries.wait_after(TransientError("503"), left=60) is True
    assert retries.wait_after(TransientError("503"), left=0) is False


@pytest.mark.parametrize("status", sorted(http.REDIRECTS))
def test_a_redirect_within_the_host_is_followed(httpserver, client, status):
    httpserver.expect_request("/data/body").respond_with_data("", status, {"Location": "/data/other?x=1"})
    httpserver.expect_request("/data/other", query_string="x=1").respond_with_data("[1]")
    answer = client.get("body", {})
    assert answer.body == b"[1]"
    assert answer.url == httpserver.url_for("/data/other?x=1")


def test_a_redirected_download_sends_its_range_to_the_end_of_the_way(httpserver, client):
    file = served(httpserver, File())
    httpserver.expect_request("/data/old.zip").respond_with_data("", 301, {"Location": "/data/file.zip"})
    assert client.fetch("old.zip", 100, 300, VERSION) == BODY[100:300]
    assert [request.headers["Range"] for request in file.requests] == ["bytes=100-299"]


@pytest.mark.parametrize("location", ["", "https://user:word@127.0.0.1/", "ftp://127.0.0.1/", "gopher:x"])
def test_a_redirect_to_no_address_is_an_error_of_ours(httpserver, client, location):
    httpserver.expect_request("/data/body").respond_with_data("", 302, {"Location": location})
    with pytest.raises(CorrentezaError, match=r"redirected in a loop|plain"):
        client.get("body", {})
    assert len(httpserver.log) == 1


def test_a_mirror_has_the_other_hosts_below_itself_under_their_names(httpserver):
    source = replace(SGS, base_url="https://values.example/v/", hosts=("periods.example",))
    path = "/sgs/periods.example/api/v3/1737/periodos"
    httpserver.expect_request(path, query_string="a=1&b=2").respond_with_data("[]")
    with Client.for_source(source, httpserver.url_for("/sgs")) as client:
        assert client.get("https://periods.example/api/v3/1737/periodos?a=1", {"b": "2"}).body == b"[]"
        httpserver.expect_request("/sgs/x").respond_with_data("", 302, {"Location": "https://values.example/y"})
        httpserver.expect_request("/sgs/values.example/y").respond_with_data("[7]")
        assert client.get("x", {}).body == b"[7]"
        with pytest.raises(CorrentezaError, match="not among its hosts"):
            client.get("https://elsewhere.example/", {})
        with pytest.raises(CorrentezaError, match="must be https"):
            client.get("http://periods.example/", {})


def test_a_path_may_hold_what_only_looks_like_an_address(httpserver, client):
    httpserver.expect_request("/data/Cotacao(moeda=@moeda)").respond_with_data("[]")
    answer = client.get("Cotacao(moeda=@moeda)", {"@moeda": "'USD'", "$format": "json", "from": "https://x/"})
    assert dict(httpserver.log[0][0].args) == {"@moeda": "'USD'", "$format": "json", "from": "https://x/"}
    assert answer.status == 200


CANARY = "canary-7f3a-key"
KEYED = replace(SGS, base_url="https://free.example/", api_key=ApiKey("apikey", "https://paying.example/v1"))


def test_the_api_key_is_sent_and_never_shown(httpserver, caplog, capsys):
    """The server sees it; answers, errors, log lines of ours and of the libraries, at their chattiest, do not."""
    caplog.set_level(logging.DEBUG)
    echo = f"/data/there?apikey={CANARY}&y=2"
    httpserver.expect_ordered_request("/data/x").respond_with_data("", 503)
    httpserver.expect_ordered_request("/data/x").respond_with_data("", 302, {"Location": echo})
    httpserver.expect_ordered_request("/data/there").respond_with_data("<html>", headers={"X-Echo": CANARY})
    with Client.for_source(KEYED, httpserver.url_for("/data"), CANARY) as client:
        answer = client.get("x", {"y": "2"})
        with pytest.raises(InvalidAnswer) as invalid:
            sniff(answer, "json")
        httpserver.clear()
        httpserver.expect_request("/data/x").respond_with_data("", 429, {"Retry-After": "9999"})
        with pytest.raises(ThrottledError) as refusal:
            client.get("x", {"y": "2"})
        httpserver.stop()
        try:
            with pytest.raises(DependencyUnavailable) as gone:
                client.get("x", {"y": "2"})
        finally:
            httpserver.start()
        shown = [answer, client, invalid.value.about, *vars(client).values()]
    assert answer.url.endswith("/data/there?y=2")
    shown += ["".join(traceback.format_exception(each.value)) for each in (invalid, refusal, gone)]
    shown += [record.getMessage() for record in caplog.records if record.name != "werkzeug"]  # the server's own
    shown += [capsys.readouterr().out]
    assert any("HTTP Request" in str(each) for each in shown)
    assert CANARY not in repr(shown)


def test_the_key_is_a_parameter_beside_the_others_and_comes_back_after_a_redirect(httpserver):
    httpserver.expect_request("/data/x").respond_with_data("", 302, {"Location": "/data/there?y=2"})
    httpserver.expect_request("/data/there").respond_with_data("[]")
    with Client.for_source(KEYED, httpserver.url_for("/data"), CANARY) as client:
        client.get("x", {"y": "2"})
    assert [dict(request.args) for request, _ in httpserver.log] == [{"y": "2", "apikey": CANARY}] * 2


def test_control_a_key_that_is_an_ordinary_parameter_is_shown(httpserver, control):
    httpserver.expect_request("/data/plain").respond_with_data("[]")

    def shown(client: Client, **params: str) -> list[str]:
        said = repr(client.get("plain", params))
        return [f"the key is in {said}"] if CANARY in said else []

    with Client.for_source(KEYED, httpserver.url_for("/data"), CANARY) as client:
        control.holds(shown, client)
    with Client(httpserver.url_for("/data"), is_mirror=True) as careless:
        control.objects(shown, careless, apikey=CANARY, damage="apikey=canary-7f3a-key")
    assert [request.args["apikey"] for request, _ in httpserver.log] == [CANARY] * 2, "both were asked with the key"


def test_the_key_goes_to_the_paying_customers_address_and_to_no_other():
    with Client.for_source(replace(KEYED, hosts=("other.example",)), None, CANARY) as client:
        asks = {
            url: client._allowed.is_own(client._allowed.url(url)) for url in ("forecast", "https://other.example/meta")
        }
        assert str(client._allowed.url("forecast")) == "https://paying.example/v1/forecast"
    assert asks == {"forecast": True, "https://other.example/meta": False}


def test_without_a_key_the_free_address_is_asked():
    with Client.for_source(KEYED) as client:
        assert str(client._allowed.url("forecast")) == "https://free.example/forecast"


def test_a_key_for_a_source_that_knows_none_is_refused():
    with pytest.raises(UsageError, match="no API key"):
        Client.for_source(SGS, None, CANARY)


@pytest.mark.parametrize(
    "address", ["https://user:word@host.example/", "ftp://host.example/", "host.example", "https://"]
)
def test_an_address_with_a_password_or_none_at_all_is_refused(address):
    with pytest.raises(UsageError) as caught:
        Client(address)
    assert "word" not in str(caught.value).replace("password", "")


def test_a_status_204_is_an_answer_without_a_body(httpserver, client):
    httpserver.expect_request("/data/body").respond_with_data("", 204)
    answer = client.get("body", {})
    assert (answer.status, answer.body) == (204, b"")


def test_a_gzip_body_that_nobody_asked_for_is_read(httpserver, client):
    headers = {"Content-Encoding": "gzip"}
    httpserver.expect_request("/data/body").respond_with_data(gzip.compress(BODY), headers=headers)
    assert client.get("body", {}).body == BODY


@pytest.mark.parametrize(
    "sent",
    [
        gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:]),
        b"".join(gzip.compress(BODY[start : start + 97]) for start in range(0, len(BODY), 97)),
        gzip.compress(b"") + gzip.compress(BODY) + gzip.compress(b""),
        gzip.compress(BODY) + bytes(500),
        gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:]) + bytes(1),
    ],
    ids=["two members", "many members", "empty members", "padded", "both"],
)
@pytest.mark.parametrize("block", [1, 100, 1 << 20])
def test_a_gzip_body_of_several_members_or_with_padding_is_read(sent, block):
    """RFC 1952, 2.2: members follow one after the other. Zeros after the last are what gzip itself reads over."""
    assert bodies.whole(gzipped(sent, block), 1 << 20) == BODY


def gzipped(sent: bytes, block: int) -> httpx2.Response:
    """An answer whose body arrives in blocks."""
    pieces = (sent[start : start + block] for start in range(0, len(sent), block))
    request = httpx2.Request("GET", "http://x/")
    return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, content=pieces, request=request)


def test_control_a_reader_of_one_member_gives_half_the_body_and_no_error(control):
    """What stands behind the library's own decoding, and why the end of a member is looked at here."""
    sent = gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:])

    def cut_short(read: Callable[[bytes], bytes]) -> list[str]:
        body = read(sent)
        return [] if body == BODY else [f"{len(body)} of {len(BODY)} bytes, and no error"]

    control.holds(cut_short, lambda each: bodies.whole(gzipped(each, 100), 1 << 20))
    of_one_member = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    control.objects(cut_short, of_one_member, damage="5000 of 10240 bytes, and no error")


def test_the_last_of_several_members_that_ends_early_is_asked_for_again(httpserver, client):
    headers, whole = {"Content-Encoding": "gzip"}, gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:])
    httpserver.expect_ordered_request("/data/body").respond_with_data(whole[:-20], headers=headers)
    httpserver.expect_ordered_request("/data/body").respond_with_data(whole, headers=headers)
    assert client.get("body", {}).body == BODY


BOMB = gzip.compress(bytes(5_000_000))
EMPTY_BLOCKS = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 2_000


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        ((BOMB, "gzip"), "more than 9000 bytes"),
        ((EMPTY_BLOCKS, "gzip"), "more than 9000 bytes"),
        ((gzip.compress(b"[]") + gzip.compress(bytes(9_001)), "gzip"), "more than 9000 bytes"),
        ((gzip.compress(b"[]") + b"tail", "gzip"), "bytes after the end"),
        ((gzip.compress(b"[]") + b"\0\0tail", "gzip"), "bytes after the end"),
        ((gzip.compress(b"[]") + bytes(9_000), "gzip"), "more than 9000 bytes"),
        ((gzip.compress(b"") * 101, "gzip"), "more than 100 members"),
        ((gzip.compress(b"[]") + b"\x1ftail", "gzip"), "called gzip"),
        ((b"plain", "gzip"), "called gzip"),
        ((b"x", "br"), "not asked for"),
        ((b"x", "gzip, gzip"), "not asked for"),
    ],
    ids=[
        *("bomb", "bomb of empty blocks", "bomb after a member", "tail", "tail after padding", "bomb of padding"),
        *("bomb of members", "no member", "no gzip", "brotli", "twice"),
    ],
)
def test_an_encoded_body_is_bounded_or_refused(httpserver, client, monkeypatch, sent, what):
    body, encoding = sent
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 9000)
    monkeypatch.setattr(bodies, "MAX_GZIP_MEMBERS", 100)
    assert len(BOMB) < 9000
    httpserver.expect_request("/data/body").respond_with_data(body, headers={"Content-Encoding": encoding})
    with pytest.raises(InvalidContent, match=what):
        client.get("body", {})
    assert len(httpserver.log) == 1


def test_a_gzip_body_that_ends_early_is_asked_for_again(httpserver, client):
    headers = {"Content-Encoding": "gzip"}
    httpserver.expect_ordered_request("/data/body").respond_with_data(gzip.compress(BODY)[:-20], headers=headers)
    httpserver.expect_ordered_request("/data/body").respond_with_data(gzip.compress(BODY), headers=headers)
    assert client.get("body", {}).body == BODY


def test_an_encoded_span_is_refused(httpserver, client):
    headers = {"ETag": '"a"', "Content-Range": f"bytes 0-99/{len(BODY)}", "Content-Encoding": "gzip"}
    httpserver.expect_request("/data/file.zip").respond_with_data(BODY[:100], 206, headers)
    with pytest.raises(InvalidContent, match="others, were sent"):
        client.fetch("file.zip", 0, 100, VERSION)


def test_a_span_longer_than_it_says_is_cut_off(httpserver, client):
    headers = {"ETag": '"a"', "Content-Range": f"bytes 0-99/{len(BODY)}"}
    httpserver.expect_request("/data/file.zip").respond_with_handler(
        lambda request: Response((BODY for _ in range(10_000)), 206, headers)
    )
    with pytest.raises(InvalidContent, match="more than 100 bytes"):
        client.fetch("file.zip", 0, 100, VERSION)
    into = io.BytesIO()
    with pytest.raises(InvalidContent, match="more than 100 bytes"):
        client.download("file.zip", (0, 100), VERSION, into)
    assert into.getvalue() == b""


def test_of_a_server_that_knows_no_ranges_no_more_than_a_sample_is_read(httpserver, client):
    sent = 0

    def endless(request: Request) -> Response:
        def blocks():
            nonlocal sent
            for _ in range(100_000):
                sent += len(BODY)
                yield BODY

        return Response(blocks(), 200)

    httpserver.expect_request("/data/file.zip").respond_with_handler(endless)
    answer = client.ask("file.zip", etag=None, last_modified=None)
    assert (answer.status, len(answer.body)) == (200, SAMPLE_BYTES)
    assert sent < 100_000 * len(BODY) / 10


def test_a_body_above_the_cap_is_refused_without_reading_it_all(httpserver, client, monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1000)
    httpserver.expect_request("/data/body").respond_with_data(BODY)
    with pytest.raises(InvalidContent, match="more than 1000"):
        client.get("body", {})


def test_a_server_that_is_not_there_is_a_dependency_unavailable():
    with Client("http://127.0.0.1:9/", is_mirror=True) as gone, pytest.raises(DependencyUnavailable):
        gone.get("body", {})


def answer(body: bytes) -> Answer:
    return Answer("http://x/", 200, Version(None, None, None), "application/json", body, datetime.now(UTC))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 131\n"


@pytest.mark.parametrize("media", ["json", "zip", "csv"])
@pytest.mark.parametrize(
    "body",
    [
        HTML,
        LFS,
        b"",
        b"  \n",
        b"\xef\xbb\xbf<!DOCTYPE html>",
        b'<?xml version="1.0"?><soap/>',
        b"<HTML>",
        b"<!-- cached --><table>",
        b"</error>",
    ],
)
def test_what_is_no_data_is_recognised_by_its_first_bytes(media, body):
    with pytest.raises(InvalidAnswer) as caught:
        sniff(answer(body), media)
    assert caught.value.sample == body


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("json", b"CHAVE INV\xc1LIDA!"),
        ("zip", b"CHAVE INV\xc1LIDA!"),
        ("json", b"PK\x03\x04"),
        ("csv", b"PK\x03\x04\x14\x00"),
        ("csv", b'{"error": true}'),
        ("zip", b"{}"),
    ],
)
def test_one_kind_of_data_is_not_another(media, body):
    with pytest.raises(InvalidAnswer):
        sniff(answer(body), media)


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("json", b"[]"),
        ("json", b"\xef\xbb\xbf {}"),
        ("zip", b"P"),
        ("zip", b"PK\x03\x04x"),
        ("csv", b'\xef\xbb\xbf"data";"valor"\r\n'),
        ("csv", b"Regi\xe3o;Faixa\n<5;1"),
    ],
)
def test_data_of_each_kind_is_accepted(media, body):
    sniff(answer(body), media)
