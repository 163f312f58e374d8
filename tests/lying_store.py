"""A proxy between a client and an object store that lies as asked: failures that no test can order from a real one."""

import hashlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from storage.s3 import S3

Lie = str
"""What to do with a request:

    done_500      let the store do it, then answer 500
    slow_down     answer 503, and do not ask the store
    cut           send the head of the answer and half of its body, then close
    slow          send the body in small pieces
    refused       answer 412, as if the condition did not hold, and do not ask the store
    unconditional write, whatever the condition says
"""

SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>slow down</Message></Error>'
REFUSED = b'<?xml version="1.0"?><Error><Code>PreconditionFailed</Code><Message>no</Message></Error>'
FAILED = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>it failed</Message></Error>'
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


@dataclass
class Liar:
    """A proxy that runs.

    Attributes:
        endpoint: its URL.
        lie: method, path, headers → what to do; None is the truth. May be set while it runs.
        told: lie → how often.
        requests: method, or LIST → requests that were passed on or lied about.
    """

    endpoint: str
    lie: Callable[[str, str, dict[str, str]], Lie | None] = lambda method, path, headers: None
    told: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)

    def once(self, lie: Lie, which: Callable[[str, str, dict[str, str]], bool], times: int = 1) -> None:
        """Lie about the first requests that match, and then no more."""
        left, lock = [times], threading.Lock()

        def choose(method: str, path: str, headers: dict[str, str]) -> Lie | None:
            with lock:
                if left[0] and which(method, path, headers):
                    left[0] -= 1
                    return lie
            return None

        self.lie = choose


def is_commit(method: str, path: str, headers: dict[str, str]) -> bool:
    """Whether a request commits a version of a Delta table."""
    name = path.partition("?")[0].rpartition("/")[2]
    return method == "PUT" and "/_delta_log/" in path and name[:20].isdecimal() and name.endswith(".json")


@contextmanager
def lying(store: S3) -> Iterator[Liar]:
    """Run a proxy before a store."""
    host = str(store.endpoint).partition("://")[2]
    liar = Liar("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body of an answer are two packets

        def log_message(self, *_: object) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def _pass(self) -> None:
            body = self._body()
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            lie = liar.lie(self.command, self.path, {name.lower(): value for name, value in headers.items()})
            liar.requests["LIST" if self.command == "GET" and "list-type=" in self.path else self.command] += 1
            if lie is not None:
                liar.told[lie] += 1
            if lie in ("slow_down", "refused"):
                self._answer(503 if lie == "slow_down" else 412, SLOW_DOWN if lie == "slow_down" else REFUSED)
                return
            if lie == "unconditional":
                # The condition is signed: the proxy writes with the store's own keys.
                bucket, _, key = self.path.partition("?")[0].strip("/").partition("/")
                store.bucket(bucket).put(unquote(key), body or b"", use_multipart=False)
                self._answer(200, b"", ETag=f'"{hashlib.md5(body or b"").hexdigest()}"')
                return
            connection = http.client.HTTPConnection(host, timeout=60)
            try:
                connection.request(self.command, self.path, body=body, headers=headers)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if lie == "done_500":
                self._answer(500, FAILED)
                return
            self._give(answer, content, lie)

        def _body(self) -> bytes | None:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                length = int(self.headers.get("Content-Length") or 0)
                return self.rfile.read(length) if length else (b"" if self.command in ("PUT", "POST") else None)
            found = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return bytes(found)

        def _answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _give(self, answer: http.client.HTTPResponse, content: bytes, lie: Lie | None) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP | {"content-length", "date", "server"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            if length is not None and answer.status != 204:
                self.send_header("Content-Length", length)
            self.end_headers()
            if self.command == "HEAD":
                return
            if lie == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif lie == "slow":
                for begin in range(0, len(content), max(1, len(content) // 8)):
                    self.wfile.write(content[begin : begin + max(1, len(content) // 8)])
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815 - the names that http.server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    liar.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, name="lying-store", daemon=True).start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()
