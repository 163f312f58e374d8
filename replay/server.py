"""Serve recorded publications of the real sources, day by day, at the sources' own paths and with their quirks.

    with serve(day=1) as replay:
        poll(base_urls=replay.base_urls)
        replay.set_day(2)

The same over HTTP, for another process: `POST /_replay/day {"day": 2}`, `GET /_replay/log`,
`POST /_replay/fault {"path": "/inmet/2024.zip", "kind": "html-200"}`.
"""

import json
import os
import socket
import struct
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from foundation.errors import UsageError
from replay import anatel, inmet, sgs
from replay.content import DATA, Resource
from replay.ranges import select

DAYS = (1, 2, 3)
FAULTS = ("html-200", "truncated", "500", "429")
_LOG_LIMIT = 10_000
_STALLED_CLIENT_SECONDS = 60
_BLOCK_PAGE = DATA / "anatel" / "head4000_html_saved_as_data.html"


@dataclass(frozen=True)
class Request:
    """One request that was answered; status 0 means that the connection was closed without an answer."""

    method: str
    path: str
    query: str
    range: str | None
    status: int
    bytes_sent: int


class Replay:
    """A running server. Close it, or use it as a context manager."""

    def __init__(self, *, day: int, port: int) -> None:
        self._lock = threading.Lock()
        self._log: deque[Request] = deque(maxlen=_LOG_LIMIT)
        self._faults: dict[str, deque[str]] = {}
        self.set_day(day)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replay", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_urls(self) -> dict[str, str]:
        """Source name → base URL, as the setting `base_urls` takes it."""
        return {
            "inmet_hourly": f"{self.url}/inmet",
            "bcb_sgs": f"{self.url}/sgs",
            "anatel_broadband_accesses": f"{self.url}/anatel",
        }

    @property
    def day(self) -> int:
        """The publication day being served."""
        return self._day

    def set_day(self, day: int) -> None:
        """Serve another publication day from the next request on. Raises: UsageError for a day not recorded."""
        if day not in DAYS:
            raise UsageError(f"publication day {day} is not recorded; there are {DAYS[0]} to {DAYS[-1]}")
        self._day = day

    def add_fault(self, path: str, kind: str, times: int = 1) -> None:
        """Let the next answers of a path fail: `html-200`, `truncated`, `500` or `429`.

        Raises:
            UsageError: there is no such fault.
        """
        if kind not in FAULTS:
            raise UsageError(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        with self._lock:
            self._faults.setdefault(path, deque()).extend([kind] * times)

    def next_fault(self, path: str) -> str | None:
        """Take the scripted fault that this answer must show."""
        with self._lock:
            waiting = self._faults.get(path)
            return waiting.popleft() if waiting else None

    @property
    def requests(self) -> list[Request]:
        """Requests of the sources' paths, oldest first; the last ten thousand."""
        with self._lock:
            return list(self._log)

    def record(self, request: Request) -> None:
        """Remember one answered request."""
        with self._lock:
            self._log.append(request)

    def close(self) -> None:
        """Stop listening and cut the connections that clients keep open."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_connections()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(*, day: int = 1, port: int = 0) -> Replay:
    """Start serving one publication day on the loopback interface; port 0 takes a free one."""
    return Replay(day=day, port=port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection for ever; close() cuts it

    def __init__(self, address: tuple[str, int], replay: Replay) -> None:
        self.replay = replay
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _STALLED_CLIENT_SECONDS

    def do_GET(self) -> None:
        if self._source_path == "/_replay/log":
            requests = self.server.replay.requests
            counts = Counter(request.path for request in requests)
            self._send_json(200, {"counts": counts, "requests": [asdict(request) for request in requests]})
        else:
            self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        replay = self.server.replay
        try:
            wish = json.loads(body)
            if self._source_path == "/_replay/day":
                replay.set_day(wish["day"])
            elif self._source_path == "/_replay/fault":
                replay.add_fault(wish["path"], wish["kind"], wish.get("times", 1))
            else:
                self._send_json(404, {"error": "no such command"})
                return
        except (UsageError, ValueError, KeyError, TypeError) as error:
            self._send_json(400, {"error": str(error)})
            return
        self._send_json(200, {"day": replay.day})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Requests are kept in the replay's own log."""

    @property
    def _source_path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _answer(self, *, with_body: bool) -> None:
        family, _, rest = self._source_path.removeprefix("/").partition("/")
        if family == "inmet" and (not with_body or "Mozilla" not in self.headers.get("User-Agent", "")):
            self._reset()  # INMET refuses HEAD, and clients that do not look like a browser
            return
        fault = self.server.replay.next_fault(self._source_path)
        if fault == "html-200":
            self._send(200, _BLOCK_PAGE.read_bytes(), {"Content-Type": "text/html; charset=windows-1252"}, with_body)
        elif fault == "500":
            self._send(500, b"<html><h1>Internal Server Error</h1></html>", {"Content-Type": "text/html"}, with_body)
        elif fault == "429":
            self._send(429, b"", {"Retry-After": "1"}, with_body)
        else:
            self._publish(family, rest, with_body=with_body, cut=fault == "truncated")

    def _publish(self, family: str, rest: str, *, with_body: bool, cut: bool) -> None:
        day = self.server.replay.day
        if family == "sgs":
            query = dict(parse_qsl(urlsplit(self.path).query))
            status, body = sgs.answer(rest, query, day) or (404, b"")
            self._send(status, body, {"Content-Type": "application/json;charset=UTF-8"}, with_body, cut=cut)
            return
        resource = {"inmet": inmet.resource, "anatel": anatel.resource}.get(family, _nothing)(rest, day)
        if resource is None:
            self._send(404, b"<html><h1>Not Found</h1></html>", {"Content-Type": "text/html"}, with_body)
            return
        self._send_resource(resource, with_body=with_body, cut=cut)

    def _send_resource(self, resource: Resource, *, with_body: bool, cut: bool) -> None:
        part = select(resource, self.headers)
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": resource.etag,
            "Last-Modified": resource.last_modified,
            "Content-Type": resource.content_type,
        }
        if part.status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{len(resource.body)}"
        elif part.status == 416:
            headers["Content-Range"] = f"bytes */{len(resource.body)}"
        self._send(part.status, resource.body[part.start : part.end], headers, with_body, cut=cut)

    def _send_json(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self._write(status, body, {"Content-Type": "application/json"}, with_body=True)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool, *, cut: bool = False) -> None:
        sent = (len(body) // 2 if cut else len(body)) if with_body else 0
        self._record(status, sent)
        self._write(status, body, headers, with_body=with_body, sent=sent)
        if cut:
            self.close_connection = True

    def _write(
        self, status: int, body: bytes, headers: dict[str, str], *, with_body: bool, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body and status != 304:
            self.wfile.write(body[: len(body) if sent is None else sent])

    def _reset(self) -> None:
        """Close with a TCP reset: no answer, no orderly end."""
        self._record(0, 0)
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # at once: an orderly shutdown first would send FIN instead

    def _record(self, status: int, sent: int) -> None:
        query = urlsplit(self.path).query
        self.server.replay.record(
            Request(self.command, self._source_path, query, self.headers.get("Range"), status, sent)
        )


def _nothing(_path: str, _day: int) -> Resource | None:
    return None
