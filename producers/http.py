"""One polite HTTP layer for all sources: one host, no redirects, bounded bytes and time, retries of named outcomes.

    ask     is there anything new? One byte by Range, with the validators of the last answer
    get     a whole small body
    fetch   a span of a file into memory
    download  a span of a file to disk, resumed where a dropped connection left it

Every answer about a span is checked to be of the same version of the file (If-Range, and the validators again, because
not every server heeds If-Range): a file replaced while it is read must never give half of each.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from typing import BinaryIO

import httpx2
import stamina

from foundation.errors import CorrentezaError, InvalidContent, TransientError
from producers.answers import SAMPLE_BYTES, Answer, Version, http_date, refused

# ANATEL and INMET refuse or reset clients that do not look like a browser; the rest says who we are.
USER_AGENT = f"Mozilla/5.0 (X11; Linux x86_64) correnteza/{version('correnteza')} (open data poller)"

RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
ATTEMPTS = 5
RESUMES = 10
MAX_RETRY_AFTER = 120.0  # seconds; a source that asks for more is tried again at its next slot
CONNECT_TIMEOUT, READ_TIMEOUT = 15.0, 60.0  # seconds
BODY_DEADLINE, DOWNLOAD_DEADLINE = 180.0, 7200.0  # seconds, all attempts together
MAX_BODY_BYTES = 64 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class _ThrottledError(TransientError):
    """Asked to come back later."""

    def __init__(self, message: str, wait: float | None) -> None:
        super().__init__(message)
        self.wait = wait


class _ReplacedError(TransientError):
    """The file is another one now: the next poll reads that one from its directory on; asking again cannot help."""


class Client:
    """All requests of one source. Use as a context manager."""

    def __init__(self, base_url: str, *, pause: timedelta = timedelta(0)) -> None:
        self._base = base_url if base_url.endswith("/") else base_url + "/"
        self._pause = pause.total_seconds()
        self._next_at = 0.0
        self._client = httpx2.Client(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept-Language": "pt-BR,pt;q=0.9"},
            timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, path: str, *, etag: str | None, last_modified: datetime | None) -> Answer:
        """The file's version by a one-byte range (INMET refuses HEAD); status 304 when the validators still hold."""
        headers = {"Range": "bytes=0-0", **_conditions(etag, last_modified)}
        return self._whole(path, {}, headers, SAMPLE_BYTES, may_truncate=True)

    def get(self, path: str, params: Mapping[str, str]) -> Answer:
        """A whole body. Raises: InvalidContent above MAX_BODY_BYTES."""
        return self._whole(path, params, {}, MAX_BODY_BYTES, may_truncate=False)

    def fetch(self, path: str, start: int, end: int, file_version: Version) -> bytes:
        """Bytes [start, end) of that version of the file."""
        deadline = time.monotonic() + BODY_DEADLINE
        for attempt in _attempts(ATTEMPTS, BODY_DEADLINE):
            with attempt, self._span(path, start, end, file_version) as response:
                body = b"".join(_timed(response, deadline))
                _check_length(path, len(body), end - start)
                return body
        raise AssertionError("unreachable")

    def download(self, path: str, span: tuple[int, int], file_version: Version, into: BinaryIO) -> None:
        """Append the bytes [start, end) of that version to a file, resuming after each dropped connection."""
        start, end = span
        origin = into.tell()
        deadline = time.monotonic() + DOWNLOAD_DEADLINE
        for attempt in _attempts(RESUMES, DOWNLOAD_DEADLINE):
            with attempt:
                position = start + into.tell() - origin
                with self._span(path, position, end, file_version) as response:
                    for block in _timed(response, deadline):
                        into.write(block)
                _check_length(path, into.tell() - origin, end - start)

    def _whole(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str], limit: int, *, may_truncate: bool
    ) -> Answer:
        deadline = time.monotonic() + BODY_DEADLINE
        for attempt in _attempts(ATTEMPTS, BODY_DEADLINE):
            with attempt, self._stream(path, params, headers) as response:
                retrieved_at = datetime.now(UTC)
                body = bytearray()
                for block in _timed(response, deadline):
                    body += block
                    if len(body) > limit:
                        if not may_truncate:
                            raise InvalidContent(f"{response.url}: more than {limit} bytes")
                        break
                return Answer(
                    str(response.url),
                    response.status_code,
                    _version(response),
                    response.headers.get("content-type", ""),
                    bytes(body[:limit]),
                    retrieved_at,
                )
        raise AssertionError("unreachable")

    @contextmanager
    def _span(self, path: str, start: int, end: int, wanted: Version) -> Iterator[httpx2.Response]:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if wanted.if_range:
            headers["If-Range"] = wanted.if_range
        with self._stream(path, {}, headers) as response:
            if response.status_code == 200:
                raise _ReplacedError(f"{response.url}: replaced while it was read; nothing of it was kept")
            if response.status_code != 206:
                raise refused(str(response.url), response.status_code)
            found, span = _version(response), _CONTENT_RANGE.match(response.headers.get("content-range", ""))
            if span is None or (int(span[1]), int(span[2])) != (start, end - 1):
                raise InvalidContent(f"{response.url}: another range than bytes {start}-{end - 1} was sent")
            if found.length != wanted.length or _differs(found.etag, wanted.etag):
                raise _ReplacedError(f"{response.url}: replaced while it was read; nothing of it was kept")
            yield response

    @contextmanager
    def _stream(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """One request. Raises: TransientError for what is worth retrying, CorrentezaError for a redirect."""
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + self._pause
        url = self._base + path
        try:
            with self._client.stream("GET", url, params=dict(params) or None, headers=dict(headers)) as response:
                status = response.status_code
                if status in RETRIED_STATUSES:
                    raise _ThrottledError(f"{response.url}: status {status}", _retry_after(response))
                if 300 <= status < 400 and status != 304:
                    raise CorrentezaError(f"{response.url}: redirected, which no source here does; not followed")
                yield response
        except httpx2.TransportError as error:
            raise TransientError(f"{url}: {type(error).__name__}: {error}") from error


def _attempts(count: int, deadline: float) -> Iterator[stamina.Attempt]:
    return iter(stamina.retry_context(on=_back_off, attempts=count, timeout=deadline, wait_initial=0.5, wait_max=30.0))


def _back_off(error: Exception) -> bool | float:
    """What is retried, and after how long: a stated wait plus jitter if it is bearable, else the usual back-off."""
    if isinstance(error, _ThrottledError) and error.wait is not None:
        return error.wait + random.uniform(0, 1) if error.wait <= MAX_RETRY_AFTER else False
    return isinstance(error, TransientError) and not isinstance(error, _ReplacedError)


def _check_length(path: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise TransientError(f"{path}: {found} bytes where {wanted} were asked for")


def _timed(response: httpx2.Response, deadline: float) -> Iterator[bytes]:
    # The read timeout bounds the silence between two packets; a source that drips a byte a second needs this one.
    # No block size: iter_raw would gather blocks of it, and lose what it has gathered when the connection drops.
    for block in response.iter_raw():
        yield block
        if time.monotonic() > deadline:
            raise TransientError(f"{response.url}: not answered whole within its deadline")


def _version(response: httpx2.Response) -> Version:
    span = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
    length = span[3] if span else response.headers.get("content-length")
    return Version(
        response.headers.get("etag"),
        response.headers.get("last-modified"),
        int(length) if length is not None and str(length).isdecimal() else None,
    )


def _differs(found: str | None, wanted: str | None) -> bool:
    return found is not None and wanted is not None and found != wanted


def _conditions(etag: str | None, last_modified: datetime | None) -> dict[str, str]:
    headers = {}
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = format_datetime(last_modified.astimezone(UTC), usegmt=True)
    return headers


def _retry_after(response: httpx2.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    moment = http_date(text)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else None
