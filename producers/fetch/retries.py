"""Which requests are sent again, how often and after how long; and what a 429 or a similar status means."""

import random
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx2
import stamina

from foundation import clock
from foundation.errors import TransientError
from producers.fetch import bodies
from producers.fetch.addresses import Deadline
from producers.fetch.answers import SAMPLE_BYTES, ThrottledError, http_date

# 520 to 524 come from Cloudflare in front of IBGE: the source behind it failed, was down or took too long.
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
MIN_STATED_WAIT, MAX_STATED_WAIT = 1.0, 120.0  # seconds; if a source asks for a longer pause, a later poll tries again
MAX_THROTTLE = timedelta(hours=25)  # "come back tomorrow" and a little more; a longer pause is an error
WAIT_JITTER = 1.0  # seconds


class ReplacedError(TransientError):
    """The file was replaced: the next poll reads the new one from its directory on, and a retry cannot help."""


def attempts(count: int, deadline: Deadline) -> Iterator[stamina.Attempt]:
    """At most so many attempts, with growing waits between them, until the deadline."""

    def wait(error: Exception) -> bool | float:
        return wait_after(error, deadline.left())

    return iter(stamina.retry_context(on=wait, attempts=count, timeout=None, wait_initial=0.5, wait_max=30.0))


def wait_after(error: Exception, left: float) -> bool | float:
    """Seconds until the retry: the stated wait plus jitter if it is short enough, else the usual back-off.

    Args:
        left: seconds until the deadline; a stated wait that would end after it is not begun.
    """
    if isinstance(error, ThrottledError):
        wait = error.wait + random.uniform(0, WAIT_JITTER)
        return wait if error.wait <= MAX_STATED_WAIT and wait < left else False
    return isinstance(error, TransientError) and not isinstance(error, ReplacedError) and left > 0


def turned_away(response: httpx2.Response, throttled_for: Callable[[bytes], timedelta | None]) -> TransientError:
    """The error for one of RETRIED_STATUSES; a ThrottledError if the source states how long to wait.

    Of a 429 the first SAMPLE_BYTES of the body are read for its reason; other bodies are not read.
    """
    message = f"{response.url}: status {response.status_code}"
    waits = [_retry_after(response), _reason(response, throttled_for) if response.status_code == 429 else None]
    stated = max((wait for wait in waits if wait is not None), default=None)
    if stated is None:
        return TransientError(message)
    wait = max(min(stated, MAX_THROTTLE.total_seconds()), MIN_STATED_WAIT)
    return ThrottledError(message, until=clock.now() + timedelta(seconds=wait), wait=wait)


def failed(url: httpx2.URL, error: httpx2.TransportError) -> TransientError:
    """The error for a connection that failed or broke."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            # An invalid certificate counts too: while a source changes its chain, its servers differ.
            return TransientError(f"{url.host}: no trusted TLS connection: {cause}")
        cause = cause.__cause__ or cause.__context__  # the library hides some causes
    return TransientError(f"{url}: {type(error).__name__}: {error}")


def _reason(response: httpx2.Response, throttled_for: Callable[[bytes], timedelta | None]) -> float | None:
    try:
        wait = throttled_for(bodies.beginning(response, SAMPLE_BYTES))
    except httpx2.TransportError:
        return None
    return wait.total_seconds() if wait else None


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds from now; not negative."""
    text = str(response.headers.get("retry-after", "")).strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    moment = http_date(text)
    return max(0.0, (moment - clock.now()).total_seconds()) if moment else None
