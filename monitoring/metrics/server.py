"""A small HTTP server that answers from memory: GET and HEAD, few connections at once, bounded time, safe headers.

On the loopback interface it answers only requests whose Host header names that interface. So a page of another site
whose name resolves to 127.0.0.1 cannot read anything (DNS rebinding).
"""

import errno
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from foundation.errors import UsageError
from foundation.log import get_logger

MOST_AT_ONCE = 8
"""Connections that are answered at the same time; one more is refused with 503."""
READ_SECONDS = 5.0
"""How long a client may be silent."""
REQUEST_SECONDS = 10.0
"""How long one connection may last, whatever the client does."""
AGAIN_SECONDS = 10.0

HEADERS = {
    # The page contains its style and its pictures, and runs no script.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

log = get_logger("http")


@dataclass(frozen=True)
class Answer:
    """The answer of a path."""

    body: bytes
    media: str = "text/plain; charset=utf-8"
    status: int = 200


Page = Callable[[Mapping[str, str]], Answer]
"""Request headers → answer. Called in a thread of its own; it must only read memory."""


def metrics_of(registry: CollectorRegistry) -> Page:
    """The page that Prometheus scrapes."""

    def page(headers: Mapping[str, str]) -> Answer:
        encode, media = choose_encoder(headers.get("Accept", ""))
        return Answer(encode(registry), media)

    return page


class Server(ThreadingHTTPServer):
    """Serves some paths from threads of its own, from `start` on.

    Raises:
        UsageError: the port is taken, or the address is not one of this machine.
    """

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be listened on: {error.strerror or error}"
            raise UsageError(f"{host}:{port} {why}", hint="give another port, or end who listens there") from error
        self.is_loopback = ip_address(str(self.server_address[0])).is_loopback

    def server_bind(self) -> None:
        """Bind without the DNS query of the library, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Start to answer, in a thread of its own."""
        threading.Thread(target=self.serve_forever, name="http", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Each connection in a thread, up to MOST_AT_ONCE of them."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with suppress(OSError):
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nConnection: close\r\n\r\n")
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, for so long at most."""
        end = threading.Timer(REQUEST_SECONDS, _cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have disconnected."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = READ_SECONDS
    server_version = "correnteza"
    sys_version = ""

    def parse_request(self) -> bool:
        """Parse as the library does; then check the method and the host."""
        if not super().parse_request():
            return False
        if self.command not in ("GET", "HEAD"):
            self._give(Answer(b"only GET and HEAD\n", status=405), Allow="GET, HEAD")
            return False
        if self.server.is_loopback and not _is_loopback(self.headers.get("Host", "")):
            self._give(Answer(b"this server is 127.0.0.1\n", status=421))
            return False
        return True

    def do_GET(self) -> None:
        """Answer by the path."""
        page = self.server.pages.get(urlsplit(self.path).path)
        if page is None:
            self._give(Answer(f"there are: {', '.join(self.server.pages)}\n".encode(), status=404))
            return
        try:
            answer = page(self.headers)  # type: ignore[arg-type]  # a Message answers `get` as a mapping does
        except Exception as error:
            log.error("page_failed", path=urlsplit(self.path).path, error=f"{type(error).__name__}: {error}")
            answer = Answer(b"it failed; the log says why\n", status=500)
        self._give(answer)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def _give(self, answer: Answer, **more: str) -> None:
        self.send_response(answer.status)
        for name, value in {**HEADERS, **more}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.media)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: a line per scrape is of no use."""


def serve_when_free(host: str, port: int, pages: Mapping[str, Page], process: str) -> threading.Event:
    """Serve in a process that has other work: if the port is taken, log a warning and try again later.

    Returns: a function that ends it.
    """
    end = threading.Event()

    def run() -> None:
        is_told = False
        while not end.is_set():
            try:
                server = Server(host, port, pages)
            except UsageError as error:
                if not is_told:
                    log.warning("metrics_port_taken", process=process, error=str(error), again_seconds=AGAIN_SECONDS)
                is_told = True
                end.wait(AGAIN_SECONDS)
                continue
            server.start()
            log.info("metrics_served", process=process, url=f"http://{host}:{server.port}/metrics")
            end.wait()
            server.shutdown()
            server.server_close()

    threading.Thread(target=run, name="metrics", daemon=True).start()
    return end


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


def _is_loopback(host: str) -> bool:
    """Whether a Host header names this machine's loopback interface; False without a header."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
