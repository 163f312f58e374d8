"""Errors for artifacts that could not be fetched: one per kind of failure, with the setting that fixes it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from correnteza.embedded.lock import Artifact
from foundation.errors import DependencyUnavailable, TransientError, UnsafeState, UsageError

if TYPE_CHECKING:
    from requests import RequestException

MIRROR = "a mirror is set by CORRENTEZA_MAVEN_SETTINGS=<settings.xml>"
OFFLINE = "without a network: make setup OFFLINE=<folder> (docs/setup.md)"
PROXY = (
    "set HTTPS_PROXY=http://<host>:<port> to the proxy's address, or unset it; NO_PROXY names hosts to ask without one"
)
CERTIFICATES = (
    "set REQUESTS_CA_BUNDLE (pip heeds it too) or SSL_CERT_FILE to a PEM file with your network's certificates"
)


def certificates() -> str | bool:
    """The file or folder of certificates that a variable names, or True: those that came with `requests`.

    Raises: UsageError when it does not exist.
    """
    for name in (
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "SSL_CERT_FILE",
    ):  # `requests` reads the first two in this order
        if value := os.environ.get(name):
            if not Path(value).exists():
                raise UsageError(
                    f"{name} names {value}, which does not exist", hint=f"unset {name}, or: {CERTIFICATES}"
                )
            return value
    return True


def of_status(wanted: Artifact, url: str, status: int) -> DependencyUnavailable:
    """The error for an HTTP status other than success.

    Returns: TransientError for 429 and 5xx, which may pass; DependencyUnavailable for the rest.
    """
    if status == 404:
        return _unavailable(wanted, url, "it does not have it (404)", f"look at the mirror's list; {MIRROR}")
    if status == 407:
        return _unavailable(wanted, url, "the proxy wants a name and a password (407)", PROXY)
    if status in (401, 403):
        return _unavailable(wanted, url, f"it refuses this download ({status})", f"ask whoever runs it, or: {MIRROR}")
    if status == 429 or status >= 500:
        return TransientError(_message(wanted, url, f"it answers {status}"), hint=f"try again later, or: {MIRROR}")
    return _unavailable(wanted, url, f"it answers {status}", MIRROR)


def of_exception(wanted: Artifact, url: str, error: "RequestException") -> TransientError:
    """The error for a failed or incomplete request."""
    import requests
    from urllib3.exceptions import NameResolutionError

    causes = list(_causes(error))
    # ProxyError and SSLError are ConnectionErrors too, so they come first; an unknown proxy host is a proxy error.
    if isinstance(error, requests.exceptions.ProxyError):
        reason, hint = f"no connection through the proxy of HTTPS_PROXY: {_innermost(causes)}", PROXY
    elif isinstance(error, requests.exceptions.SSLError):
        reason, hint = f"its TLS certificate is not trusted: {_innermost(causes)}", CERTIFICATES
    elif any(isinstance(cause, NameResolutionError | socket.gaierror) for cause in causes):
        reason, hint = "its name is not known here", f"behind a proxy set HTTPS_PROXY; {MIRROR}; {OFFLINE}"
    elif isinstance(error, requests.exceptions.Timeout):
        reason, hint = "no answer in time", f"behind a proxy set HTTPS_PROXY; {MIRROR}; {OFFLINE}"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        reason, hint = "the answer was cut off", "run it again: whole files are kept"
    else:
        reason, hint = f"no connection: {_innermost(causes)}", f"behind a proxy set HTTPS_PROXY; {MIRROR}; {OFFLINE}"
    return TransientError(_message(wanted, url, reason), hint=hint)


def of_content(wanted: Artifact, url: str, sha256: str, kind: str) -> UnsafeState:
    """The error for a file with another hash than in the lock; `kind` is the answer's Content-Type."""
    page = " (an HTML page: a proxy or a portal that wants a log-in?)" if kind.startswith("text/html") else ""
    return UnsafeState(
        f"{wanted.coordinate} from {_host(url)} is not the file that jars.lock names{page}: SHA-256 {sha256}, "
        f"expected {wanted.sha256}",
        hint=f"look at where it was fetched from; {MIRROR}; a wanted change of version goes through `make lock`",
    )


def _unavailable(wanted: Artifact, url: str, reason: str, hint: str) -> DependencyUnavailable:
    return DependencyUnavailable(_message(wanted, url, reason), hint=hint)


def _message(wanted: Artifact, url: str, reason: str) -> str:
    return f"cannot fetch {wanted.coordinate} from {_host(url)}: {reason}"


def _host(url: str) -> str:
    """Host and port, without a user name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes. urllib3 keeps causes in `reason` and in arguments."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        more = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        waiting += [cause for cause in more if isinstance(cause, BaseException)]


def _innermost(causes: list[BaseException]) -> str:
    """The system's message, without the messages of the libraries around it."""
    said = [cause for cause in causes if isinstance(cause, OSError) and cause.strerror] or causes
    last = said[-1]
    return str(getattr(last, "strerror", None) or last)
