"""How an answer is sent: completely, by range, cut off, byte by byte, or not at all."""

import json
import os
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from replay.content import JSON, Reply, Resource
from replay.ranges import select

_STALLED_CLIENT_SECONDS = 60
_DRIP_SECONDS = 0.1


class Answering(BaseHTTPRequestHandler):
    """The requests of one connection, one after the other; subclasses define the answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _STALLED_CLIENT_SECONDS

    def do_GET(self) -> None:
        """A question."""
        self.answer()

    def do_HEAD(self) -> None:
        """A question."""
        self.answer()

    def do_POST(self) -> None:
        """A command."""
        self.obey(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self) -> None:
        """Answer a GET or HEAD."""
        raise NotImplementedError

    def obey(self, body: bytes) -> None:
        """Answer a POST."""
        raise NotImplementedError

    def on_answer(self, status: int, size: int) -> None:
        """Called for each answer before it is sent: its status, 0 for none, and the number of bytes of its body."""
        raise NotImplementedError

    def send(self, answer: Reply | Resource, fault: str = "") -> None:
        """Answer the request, by range if it has one.

        Args:
            fault: `truncated` sends half of the body and closes, `slow-drip` sends it byte by byte.
        """
        if isinstance(answer, Reply):
            headers = {"Content-Type": answer.content_type, **answer.headers}
            self._send(answer.status, headers, [answer.body], len(answer.body), fault)
            return
        part = select(answer, self.headers)
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": answer.etag,
            "Last-Modified": answer.last_modified,
            "Content-Type": answer.content_type,
        }
        if part.status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{answer.size}"
        elif part.status == 416:
            headers["Content-Range"] = f"bytes */{answer.size}"
        self._send(part.status, headers, answer.blocks(part.start, part.end), part.end - part.start, fault)

    def send_json(self, status: int, value: object) -> None:
        """Answer a command to the server itself; `on_answer` is not called."""
        body = json.dumps(value).encode()
        self._send_head(status, {"Content-Type": JSON}, len(body))
        self.wfile.write(body)

    def reset(self) -> None:
        """Close with a TCP reset: no answer, no orderly end."""
        self.on_answer(0, 0)
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # at once: an orderly shutdown first would send FIN instead

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nothing: requests are stored in a separate log."""

    def _send(self, status: int, headers: Mapping[str, str], blocks: Iterable[bytes], size: int, fault: str) -> None:
        left = 0 if self.command == "HEAD" else size // 2 if fault == "truncated" else size
        self.on_answer(status, left)
        self._send_head(status, headers, size)
        for block in blocks:
            if not left:
                break
            wanted = block[:left]
            left -= len(wanted)
            if fault == "slow-drip":
                self._drip(wanted)
            else:
                self.wfile.write(wanted)
        self.close_connection |= fault == "truncated"

    def _send_head(self, status: int, headers: Mapping[str, str], size: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(size))
        self.end_headers()

    def _drip(self, block: bytes) -> None:
        """Send byte by byte until all is sent or the client disconnects."""
        for at in range(len(block)):
            time.sleep(_DRIP_SECONDS)
            self.wfile.write(block[at : at + 1])
