"""Serve recorded publications of the real sources, day by day, at the sources' own paths and with their quirks.

    with serve(day=1) as replay:
        poll(base_urls=replay.base_urls)
        replay.set_day(2)

The same over HTTP, for another process: `POST /_replay/day {"day": 2}`, `GET /_replay/log`,
`POST /_replay/fault {"path": "/inmet/2024.zip", "kind": "429", "times": 3, "after": 1, "retry_after": "2"}`.
"""

import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from foundation.errors import UsageError
from replay.answering import Answering
from replay.content import Reply, Resource
from replay.families import FAMILIES, SOURCES, resets
from replay.faults import Fault, Script

DAYS = (1, 2, 3)
_LOG_LIMIT = 10_000
_NOT_FOUND = Reply(404, b"<html><h1>Not Found</h1></html>", "text/html")


@dataclass(frozen=True)
class Request:
    """One request that was answered.

    Attributes:
        at: when its answer began, Unix seconds.
        status: 0 means that the connection was closed without an answer.
        bytes_sent: of the body.
    """

    at: float
    method: str
    path: str
    query: str
    range: str | None
    status: int
    bytes_sent: int


def base_urls(url: str) -> dict[str, str]:
    """Source name → base URL at a replay with this address, as the setting `base_urls` takes it."""
    return {source: f"{url}/{family}" for source, family in SOURCES.items()}


class Replay:
    """A running server. Close it, or use it as a context manager."""

    def __init__(self, *, day: int, port: int, instead: Mapping[str, Resource], host: str) -> None:
        self._lock = threading.Lock()
        self._log: deque[Request] = deque(maxlen=_LOG_LIMIT)
        self._instead = instead
        self.faults = Script()
        self.set_day(day)
        self._host = host
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replay", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{self._host}:{self._server.server_port}"

    @property
    def base_urls(self) -> dict[str, str]:
        """Source name → base URL, as the setting `base_urls` takes it."""
        return base_urls(self.url)

    @property
    def day(self) -> int:
        """The publication day being served."""
        return self._day

    def set_day(self, day: int) -> None:
        """Serve another publication day from the next request on. Raises: UsageError for a day not recorded."""
        if day not in DAYS:
            raise UsageError(f"publication day {day} is not recorded; there are {DAYS[0]} to {DAYS[-1]}")
        self._day = day

    def add_fault(self, path: str, kind: str, times: int = 1, *, after: int = 0, **details: str) -> None:
        """Add a fault for the next answers of a path, after `after` more correct ones; see replay.faults.

        Args:
            details: the parameters of this kind of fault: `retry_after`, `body`, `location`.

        Raises:
            UsageError: there is no such fault, or a redirect has no location.
        """
        self.faults.add(path, Fault(kind, **details), times=times, after=after)

    @property
    def requests(self) -> list[Request]:
        """Requests of the sources' paths, oldest first; the last ten thousand."""
        with self._lock:
            return list(self._log)

    def record(self, request: Request) -> None:
        """Store one answered request."""
        with self._lock:
            self._log.append(request)

    def published(self, path: str, query: Mapping[str, str]) -> Reply | Resource | None:
        """The content of a path today; None if there is none."""
        family, _, rest = path.removeprefix("/").partition("/")
        found: Reply | Resource | None = self._instead.get(path)
        if found is None and family in FAMILIES:
            found = FAMILIES[family](rest, query, self.day)
        return found.republished(self.faults.edition(path)) if isinstance(found, Resource) else found

    def close(self) -> None:
        """Stop listening and close open connections."""
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


def serve(
    *, day: int = 1, port: int = 0, instead: Mapping[str, Resource] | None = None, host: str = "127.0.0.1"
) -> Replay:
    """Start serving one publication day; port 0 takes a free one.

    Args:
        host: name or address to listen at.
        instead: path → an answer for every day in place of the recording; see replay.volume.
    """
    return Replay(day=day, port=port, instead=instead or {}, host=host)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection open; close() cuts it

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
                    continue  # the client has closed it already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect."""


class _Handler(Answering):
    server: _Server

    def answer(self) -> None:
        """Answer a request for a source's path, or for the log."""
        replay, path = self.server.replay, self._source_path
        if path == "/_replay/log":
            counts = Counter(request.path for request in replay.requests)
            self.send_json(200, {"counts": counts, "requests": [asdict(request) for request in replay.requests]})
            return
        if resets(path.split("/")[1], self.command, self.headers.get("User-Agent", "")):
            self.reset()
            return
        fault = replay.faults.next(path)
        if fault is None:
            self.send(self._published(path))
        elif fault.kind == "reset":
            self.reset()
        else:
            self.send(fault.reply() or self._published(path), fault.kind)

    def obey(self, body: bytes) -> None:
        """Switch the day, or script a fault."""
        replay = self.server.replay
        try:
            wish = json.loads(body)
            if self._source_path == "/_replay/day":
                replay.set_day(wish["day"])
            elif self._source_path == "/_replay/fault":
                replay.add_fault(**wish)
            else:
                self.send_json(404, {"error": "no such command"})
                return
        except (UsageError, ValueError, KeyError, TypeError) as error:
            self.send_json(400, {"error": str(error)})
            return
        self.send_json(200, {"day": replay.day})

    @property
    def _source_path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _published(self, path: str) -> Reply | Resource:
        return self.server.replay.published(path, dict(parse_qsl(urlsplit(self.path).query))) or _NOT_FOUND

    def on_answer(self, status: int, size: int) -> None:
        """Add it to the replay's log."""
        query, wanted = urlsplit(self.path).query, self.headers.get("Range")
        self.server.replay.record(Request(time.time(), self.command, self._source_path, query, wanted, status, size))
