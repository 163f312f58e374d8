"""Connections to exactly the address that was checked, under one deadline, with the API key added at the last moment.

A name is resolved once, its addresses are checked, and the connection is made to one of them without resolving the name
again. So a name server that gives another answer the second time (DNS rebinding) has no effect. No proxy is used for
direct connections, because a proxy would resolve the name again, and we could not check the result.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2
from pydantic import SecretStr

from foundation.errors import CorrentezaError

MAX_ADDRESSES = 4
"""Most addresses of one name that are tried, one after the other."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Holds an IPv4 address in its last 32 bits (RFC 6052)."""

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The addresses that are assigned for use on the internet. Not among them are NAT64 of a local network
(64:ff9b:1::/48), site-local addresses (fec0::/10) and IPv4 ones in ::/96, which Python may call global."""


class Deadline:
    """The time by which a whole exchange with all its attempts must end."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, negative after the deadline."""
        return self._ends_at - time.monotonic()

    def extend(self, seconds: float) -> None:
        """Move the deadline by time in which no request was running."""
        self._ends_at += seconds

    def bound(self, timeout: float | None) -> float:
        """A timeout in seconds, cut to end at the deadline. Raises: httpcore2.ReadTimeout when the deadline has
        passed."""
        left = self.left()
        if left <= 0:
            raise httpcore2.ReadTimeout("not answered whole within its deadline")
        return left if timeout is None else min(timeout, left)


class Transport(httpx2.HTTPTransport):
    """The connections of one client, for one thread.

    Args:
        is_checked: whether only public addresses are allowed.
        api_key: (name of the query parameter, key), if there is one.
        gets_key: whether an address gets the key.

    Attributes:
        deadline: of the running exchange. The read timeout only limits the time between two packets; a source that
            sends a byte per second is stopped by this deadline.
    """

    def __init__(
        self, *, is_checked: bool, api_key: tuple[str, SecretStr] | None, gets_key: Callable[[httpx2.URL], bool]
    ) -> None:
        context = httpx2.create_ssl_context()
        super().__init__(verify=context)
        self.deadline = Deadline(0)
        self._api_key, self._gets_key = api_key, gets_key
        # The library has no parameter for a network backend. If a newer release keeps its pool elsewhere, the tests of
        # private addresses and of deadlines fail.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context, keepalive_expiry=5.0, network_backend=_Network(self, is_checked=is_checked)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. The key is added only here, so that addresses in answers, errors and the library's log lines
        do not have it."""
        if self._api_key and self._gets_key(request.url):
            parameter, key = self._api_key
            request = httpx2.Request(
                request.method,
                request.url.copy_set_param(parameter, key.get_secret_value()),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        return super().handle_request(request)


class _Network(httpcore2.NetworkBackend):
    def __init__(self, transport: Transport, *, is_checked: bool) -> None:
        self._transport = transport
        self._is_checked = is_checked
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = resolve(host, port)
        if self._is_checked:
            refuse_private(host, addresses)
        for position, address in enumerate(addresses, 1):
            bounded = self._transport.deadline.bound(timeout)
            try:
                stream = self._sockets.connect_tcp(address, port, bounded, local_address, socket_options)
                return _Stream(stream, self._transport)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if position == len(addresses):
                    raise
        raise httpcore2.ConnectError(f"{host} has no address")


class _Stream(httpcore2.NetworkStream):
    """A connection; each of its steps ends at the deadline of the running exchange."""

    def __init__(self, stream: httpcore2.NetworkStream, transport: Transport) -> None:
        self._stream, self._transport = stream, transport

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._transport.deadline.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._transport.deadline.bound(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._transport.deadline.bound(timeout))
        return _Stream(secured, self._transport)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, the preferred one first, at most MAX_ADDRESSES. Raises: httpcore2.ConnectError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host}: its name has no address: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:MAX_ADDRESSES]


def refuse_private(host: str, addresses: Iterable[str]) -> None:
    """Raises: CorrentezaError when any address is not public: private, loopback, link-local, reserved, multicast."""
    for address in addresses:
        if not is_public(address):
            raise CorrentezaError(
                f"{host}: its address {address} is not a public one; not asked",
                hint="to use your own address, such as a mirror, set base_urls",
            )


def is_public(address: str) -> bool:
    """Whether an address is of the public internet, and any IPv4 address inside it as well."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        if found in NAT64:
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        if any(each is not None and not is_public(str(each)) for each in inner):
            return False
        if found.ipv4_mapped or found in NAT64:
            return True
        if found not in GLOBAL_UNICAST:
            return False
    return found.is_global and not found.is_multicast
