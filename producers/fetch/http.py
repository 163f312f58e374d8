"""One HTTP layer for all sources: allowed hosts, bounded bytes and time, limits per host, retries of named outcomes.

    ask     whether there is a new version: one byte by Range, with the validators of the last answer
    get     a whole small body
    fetch   a span of a file into memory
    download  a span of a file to disk, resumed after a dropped connection

Every answer about a span is checked to be of the same version of the file (If-Range, and the validators again, because
not every server supports If-Range), so that a file that is replaced during the read never gives a mixture.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from typing import BinaryIO

import httpx2
from pydantic import SecretStr

from foundation import clock, log
from foundation.errors import CorrentezaError, InvalidContent, TransientError, UsageError
from foundation.redact import hide
from producers.fetch import bodies
from producers.fetch.addresses import Deadline, Transport
from producers.fetch.answers import SAMPLE_BYTES, Answer, Version, refused
from producers.fetch.hosts import HOSTS, AllowedAddresses
from producers.fetch.retries import RETRIED_STATUSES, ReplacedError, attempts, failed, turned_away
from producers.model import Source

# ANATEL and INMET refuse or reset clients that do not look like a browser; the rest of the text identifies us.
USER_AGENT = f"Mozilla/5.0 (X11; Linux x86_64) correnteza/{version('correnteza')} (open data poller)"

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
ATTEMPTS = 5
RESUMES = 10
CONNECT_TIMEOUT, READ_TIMEOUT = 15.0, 60.0  # seconds
BODY_DEADLINE, DOWNLOAD_DEADLINE = 180.0, 7200.0  # seconds, all attempts and waits together, turns at the host apart
REASON_SECONDS = 10.0  # for the body of a 429
MAX_BODY_BYTES = 64 << 20
CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How far a server's clock may be ahead of ours without a warning: a file that was just written has such a date."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

# Its debug lines show the headers that servers send: a Location may repeat an API key.
logging.getLogger("httpcore2").setLevel(logging.INFO)

_log = log.get_logger("producers")


class Client:
    """All requests of one source, by one thread. Use as a context manager.

    Args:
        base_url, hosts, is_mirror: where requests may go, as `AllowedAddresses` has it. Only a mirror may be at an
            address that is not public.
        pause: least time between the beginnings of two requests to one host, in this whole process.
        api_key: (name of the query parameter, key); sent only to the base URL's own host, and never shown.
        throttled_for: the body of a 429 → the pause that the source asks for; None if it states none.

    Attributes:
        received: bytes of all answers' bodies so far, including incomplete ones.
    """

    def __init__(
        self,
        base_url: str,
        *,
        hosts: Sequence[str] = (),
        is_mirror: bool = False,
        pause: timedelta = timedelta(0),
        api_key: tuple[str, SecretStr] | None = None,
        throttled_for: Callable[[bytes], timedelta | None] = lambda body: None,
    ) -> None:
        self._allowed = AllowedAddresses(base_url, hosts, is_mirror=is_mirror)
        self.received = 0
        self._pause = pause.total_seconds()
        self._throttled_for = throttled_for
        self._key_name = api_key[0] if api_key else None
        if api_key:
            hide(api_key[1].get_secret_value())  # a source may repeat it when it refuses
        self._transport = Transport(is_checked=not is_mirror, api_key=api_key, gets_key=self._allowed.is_own)
        self._client = httpx2.Client(
            transport=self._transport,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept-Language": "pt-BR,pt;q=0.9"},
            timeout=httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,  # no password from a .netrc
        )

    @classmethod
    def for_source(cls, source: Source, base_url: str | None = None, api_key: str | None = None) -> "Client":
        """The client for a source's declaration.

        Args:
            base_url: the operator's mirror or replay; None is the real source.
            api_key: the operator's key, if there is one.

        Raises:
            UsageError: a key for a source without keys, or an invalid address.
        """
        if api_key and source.api_key is None:
            raise UsageError(f"{source.name} uses no API key", hint="remove it from the setting api_keys")
        key = (source.api_key.param, SecretStr(api_key)) if api_key and source.api_key else None
        if base_url:
            # The pause spares the real source; a mirror or a replay belongs to the operator.
            hosts, pause = (httpx2.URL(source.base_url).host, *source.hosts), timedelta(0)
            is_mirror = True
        else:
            base_url = source.api_key.base_url if key and source.api_key else source.base_url
            hosts, pause, is_mirror = source.hosts, source.pause, False
        return cls(
            base_url, hosts=hosts, is_mirror=is_mirror, pause=pause, api_key=key, throttled_for=source.throttled_for
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def address(self, path: str) -> str:
        """The URL of a path, before any redirection and without a key."""
        return str(self._allowed.url(path))

    def ask(self, path: str, *, etag: str | None, last_modified: datetime | None) -> Answer:
        """The file's version by a one-byte range (INMET refuses HEAD); status 304 when the validators still hold.

        A server without ranges sends the whole file; only its first SAMPLE_BYTES are read.
        """
        headers = {"Range": "bytes=0-0", **_conditions(etag, last_modified)}
        return self._answer(path, {}, headers, lambda response: bodies.beginning(response, SAMPLE_BYTES))

    def get(self, path: str, params: Mapping[str, str]) -> Answer:
        """A whole body. Raises: InvalidContent above MAX_BODY_BYTES."""
        return self._answer(path, params, {}, lambda response: bodies.whole(response, MAX_BODY_BYTES))

    def fetch(self, path: str, start: int, end: int, file_version: Version) -> bytes:
        """Bytes [start, end) of that version of the file."""
        deadline = Deadline(BODY_DEADLINE)
        for attempt in attempts(ATTEMPTS, deadline):
            with attempt, self._span(path, start, end, file_version, deadline=deadline) as response:
                body = b"".join(bodies.blocks(response, end - start))
                _check_length(path, len(body), end - start)
                return body
        raise AssertionError("unreachable")

    def download(self, path: str, span: tuple[int, int], file_version: Version, into: BinaryIO) -> None:
        """Append the bytes [start, end) of that version to a file, resuming after each dropped connection."""
        start, end = span
        origin = into.tell()
        deadline = Deadline(DOWNLOAD_DEADLINE)
        for attempt in attempts(RESUMES, deadline):
            with attempt:
                if file_version.if_range is None:
                    # Without a validator the second half of another file could not be distinguished from that of this
                    # one.
                    into.seek(origin)
                    into.truncate()
                position = start + into.tell() - origin
                if position == end:  # the connection broke after the last byte
                    return
                with self._span(path, position, end, file_version, deadline=deadline) as response:
                    for block in bodies.blocks(response, end - position):
                        into.write(block)
                _check_length(path, into.tell() - origin, end - start)
                return

    def _answer(
        self,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        read: Callable[[httpx2.Response], bytes],
    ) -> Answer:
        deadline = Deadline(BODY_DEADLINE)
        for attempt in attempts(ATTEMPTS, deadline):
            with attempt, self._followed(path, params, headers, deadline=deadline) as response:
                retrieved_at = clock.now()
                file_version = _version(response, retrieved_at)
                if file_version.ahead > CLOCK_DIFFERENCE:
                    _log.warning(
                        "last_modified_ahead",
                        url=str(response.url),
                        last_modified=file_version.last_modified_text,
                        taken_for=retrieved_at.isoformat(),
                    )
                return Answer(
                    str(response.url),
                    response.status_code,
                    file_version,
                    response.headers.get("content-type", ""),
                    read(response),
                    retrieved_at,
                )
        raise AssertionError("unreachable")

    @contextmanager
    def _span(
        self, path: str, start: int, end: int, wanted: Version, *, deadline: Deadline
    ) -> Iterator[httpx2.Response]:
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if wanted.if_range:
            headers["If-Range"] = wanted.if_range
        with self._followed(path, {}, headers, deadline=deadline) as response:
            if response.status_code in {200, 416}:  # 416: the file has become shorter
                raise ReplacedError(f"{response.url}: replaced while it was read; nothing of it was kept")
            if response.status_code != 206:
                raise refused(str(response.url), response.status_code)
            found, span = (
                _version(response, clock.now()),
                _CONTENT_RANGE.match(response.headers.get("content-range", "")),
            )
            if span is None or (int(span[1]), int(span[2])) != (start, end - 1) or bodies.encoding(response):
                raise InvalidContent(f"{response.url}: not the file's bytes {start}-{end - 1}, but others, were sent")
            if found.length != wanted.length or _differs(found.etag, wanted.etag):
                raise ReplacedError(f"{response.url}: replaced while it was read; nothing of it was kept")
            yield response

    @contextmanager
    def _followed(
        self, path: str, params: Mapping[str, str], headers: Mapping[str, str], *, deadline: Deadline
    ) -> Iterator[httpx2.Response]:
        """The answer at the end of the redirects. Raises: CorrentezaError for one that may not be followed."""
        url = self._allowed.url(path)
        url = url.copy_merge_params(dict(params)) if params else url
        asked = [url]
        while True:
            with self._asked(url, headers, deadline) as response:
                location = response.headers.get("location", "")
                if response.status_code not in REDIRECTS:
                    if 300 <= response.status_code < 400 and response.status_code != 304:
                        raise CorrentezaError(f"{url}: status {response.status_code}, without a usable Location")
                    yield response
                    return
            url = self._allowed.hop(url, location)
            if self._key_name:
                url = url.copy_remove_param(self._key_name)  # the transport adds the key where it belongs
            if url in asked or len(asked) > MAX_REDIRECTS:
                raise CorrentezaError(f"{asked[0]}: redirected in a loop, or more than {MAX_REDIRECTS} times")
            asked.append(url)

    @contextmanager
    def _asked(self, url: httpx2.URL, headers: Mapping[str, str], deadline: Deadline) -> Iterator[httpx2.Response]:
        """Send one request within the host's limits. Raises: TransientError if a retry makes sense."""
        with HOSTS.place(url.netloc.decode("ascii"), self._pause) as waited:
            deadline.extend(waited)
            self._transport.deadline = deadline
            try:
                with self._client.stream("GET", url, headers=dict(headers)) as response:
                    try:
                        if response.status_code in RETRIED_STATUSES:
                            # The reason in the body must arrive soon, however much time this exchange has left.
                            self._transport.deadline = Deadline(REASON_SECONDS)
                            raise turned_away(response, self._throttled_for)
                        yield response
                    finally:
                        self.received += response.num_bytes_downloaded
            except httpx2.TransportError as error:
                raise failed(url, error) from error


def _check_length(path: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise TransientError(f"{path}: {found} bytes where {wanted} were asked for")


def _version(response: httpx2.Response, seen_at: datetime) -> Version:
    span = _CONTENT_RANGE.match(response.headers.get("content-range", ""))
    length = span[3] if span else response.headers.get("content-length")
    return Version(
        response.headers.get("etag"),
        response.headers.get("last-modified"),
        int(length) if length is not None and str(length).isdecimal() else None,
        seen_at,
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
