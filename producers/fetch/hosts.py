"""Which addresses requests of a source may use, and how often a host gets requests; both apply to redirects too.

AllowedAddresses   the base URL, the other hosts that its source names, and where a mirror keeps what those hosts have
Hosts              turns at a host: a pause between two requests and a few at a time, for all clients of the process
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from foundation.errors import CorrentezaError, TransientError, UsageError

MAX_AT_ONCE = 2
"""Requests under way at one host, from this whole process."""

MAX_PLACE_WAIT = 7200.0
"""Most seconds that a request waits for a place: as long as the longest download before it may take."""


class AllowedAddresses:
    """Where the requests of one source may go.

    Args:
        base_url: the source, or a mirror of it.
        hosts: names of the other hosts that may be asked, for a source; for a mirror, the hosts whose content it has.
        is_mirror: the operator's own address. It serves other hosts' content below itself under their names
            (`<base_url>/<host>/<path>`), and no other address gets requests.

    Raises:
        UsageError: the base URL is no http(s) address, or holds a password, which would show up in the logs.
    """

    def __init__(self, base_url: str, hosts: Sequence[str], *, is_mirror: bool) -> None:
        self._base = base_url if base_url.endswith("/") else base_url + "/"
        try:
            self._url = httpx2.URL(self._base)
        except httpx2.InvalidURL as error:
            raise UsageError(f"no address of a source: {error}") from None
        if self._url.userinfo or self._url.scheme not in {"http", "https"} or not self._url.host:
            raise UsageError(f"{self._url.host!r}: a source's address is http(s)://host/path, without a password")
        self._hosts = frozenset(hosts)
        self._is_mirror = is_mirror

    def url(self, path: str) -> httpx2.URL:
        """The address of a path below the base URL, or of an absolute https URL. Raises: CorrentezaError."""
        if not path.startswith(("http://", "https://")):
            return _parsed(self._base + path)
        url = _parsed(path)
        if url.scheme != "https":
            raise CorrentezaError(f"{url.host}: an absolute address must be https; not asked")
        return self._checked(url)

    def hop(self, asked: httpx2.URL, location: str) -> httpx2.URL:
        """The address that a redirect leads to. Raises: CorrentezaError for one that may not be followed."""
        url = _parsed(location, asked).copy_with(fragment=None)
        if asked.scheme == "https" and url.scheme != "https":
            raise CorrentezaError(f"{asked.host}: redirected from https to {url.scheme!r}; not followed")
        return self._checked(url)

    def is_own(self, url: httpx2.URL) -> bool:
        """Whether an address is at the base URL's own scheme, host and port: only that one gets the API key."""
        return (url.scheme, *_place(url)) == (self._url.scheme, *_place(self._url))

    def _checked(self, url: httpx2.URL) -> httpx2.URL:
        if url.userinfo or url.scheme not in {"http", "https"}:
            raise CorrentezaError(f"{url.host}: neither a plain http nor a plain https address; not asked")
        if _place(url) == _place(self._url):
            return url
        if url.host in self._hosts and url.port is None:
            if not self._is_mirror:
                return url
            return httpx2.URL(self._base + url.host + url.raw_path.decode("ascii"))
        raise CorrentezaError(
            f"{url.host}: redirected there by {self._url.host}, but it is not among its hosts; not asked"
        )


def _parsed(text: str, asked: httpx2.URL | None = None) -> httpx2.URL:
    try:
        return asked.join(text) if asked else httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as error:
        raise CorrentezaError(
            f"{asked.host if asked else 'address'}: redirected to no valid address: {error}"
        ) from None


def _place(url: httpx2.URL) -> tuple[str, int | None]:
    return url.host, url.port  # the port is None if it is the default of the scheme


@dataclass
class _HostLimiter:
    """One host: its free places, when the last request to it began, and the pause after it."""

    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_AT_ONCE))
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun_at: float = float("-inf")
    pause: float = 0.0


class Hosts:
    """Limits of all hosts, shared by threads.

    Args:
        clock: seconds, monotonic.
        sleep: waits for so many seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._limiters: dict[str, _HostLimiter] = {}

    @contextmanager
    def place(self, host: str, pause: float) -> Iterator[float]:
        """Hold one of the host's places, from `pause` seconds after the former request to it began.

        Yields: seconds that were waited. Raises: TransientError when no place came free in MAX_PLACE_WAIT.
        """
        asked_at = self._clock()
        with self._lock:
            limiter = self._limiters.setdefault(host, _HostLimiter())
        if not limiter.places.acquire(timeout=MAX_PLACE_WAIT):
            raise TransientError(f"{host}: busy with this process's other requests for {MAX_PLACE_WAIT:.0f} s")
        try:
            with limiter.lock:
                # The start time is reserved under the lock and waited for without it, so that others can reserve the
                # next ones.
                begin_at = max(self._clock(), limiter.begun_at + max(pause, limiter.pause))
                limiter.begun_at, limiter.pause = begin_at, pause
            if (wait := begin_at - self._clock()) > 0:
                self._sleep(wait)
            yield self._clock() - asked_at
        finally:
            limiter.places.release()


HOSTS = Hosts()
"""The limits of this process."""
