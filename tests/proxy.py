"""A TCP proxy for fault tests: what it does to connections can be changed while they are open.

It knows as much of Kafka's protocol as it takes to find one reply: a request begins with its length, API key, version
and correlation id, and its response with its length and that id. So a test can let EndTxn ("commit") reach the broker
and keep the answer back.
"""

import asyncio
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, Self

from tests.helpers import PATIENCE_SECONDS

Mode = Literal["pass", "blackhole", "reset", "delay", "throttle", "cut", "half-close"]

END_TXN = 26
_BLOCK = 64 << 10
_SLICE_SECONDS = 0.05


class Proxy:
    """Forwards a local port to `target` in a thread of its own. A context manager.

    Attributes:
        mode: `pass`; `blackhole` (take everything, answer nothing; a connection that lost bytes by it is hung up when
            it ends: what follows a gap is no answer to anything); `reset` (hang up on every connection, old and new);
            `delay` (hold each block `delay_seconds`); `throttle` (`bytes_per_second` a direction); `cut` (hang up when
            `cut_after` bytes of an answer have been passed); `half-close` (tell the client that no more answers
            come, and go on taking what it sends). Heeded from the next block on.
        swallow: (number of the EndTxn request, from 1) → whether to keep its reply back and hang up. The broker has
            acted on the request by then.
        holds: keep silent after such a reply instead of hanging up, as a network that loses one direction does.
        swallowed: how many replies were kept back; end_txns: how many EndTxn requests were passed on.
        lost: how many bytes a black hole has taken.
    """

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.target = target
        self.mode: Mode = "pass"
        self.delay_seconds = 0.5
        self.bytes_per_second = 10_000
        self.cut_after = 1_000
        self.swallow: Callable[[int], bool] = lambda number: False
        self.holds = False
        self.swallowed = 0
        self.end_txns = 0
        self.lost = 0
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(PATIENCE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self._port))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            server, to_server = await asyncio.open_connection(*self.target)
            link = _Link(self, to_client, to_server)
            ways: list[Coroutine[Any, Any, None]] = [
                link.pump(client, to_server, link.request),
                link.pump(server, to_client, link.answer),
                link.watch(),
            ]
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # the target is away: to the client, the same as its hanging up
        finally:
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.transport.abort()


class _HangUp(Exception):
    """This connection ends here."""


class _Link:
    """One connection: both directions, and the EndTxn requests that wait for their replies."""

    def __init__(self, proxy: Proxy, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._to_client = to_client
        self._passed = 0
        self._half_closed = False
        self._lost = self._silent = False
        self._requests, self._answers = _Frames(), _Frames()
        self._to_swallow: set[int] = set()

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inspect: Callable[[bytes], None]
    ) -> None:
        """Carry one direction until an end, as the mode says at each block."""
        try:
            while block := await reader.read(_BLOCK):
                inspect(block)
                await self._carry(block, writer)
        except (_HangUp, OSError):
            return

    async def _carry(self, block: bytes, writer: asyncio.StreamWriter) -> None:
        proxy, is_answer = self._proxy, writer is self._to_client
        if proxy.mode == "blackhole":
            self._lost = True
            proxy.lost += len(block)
            return
        if is_answer and (self._half_closed or self._silent):
            return
        if proxy.mode == "delay":
            await asyncio.sleep(proxy.delay_seconds)
        if proxy.mode == "half-close" and is_answer:
            self._half_closed = True
            writer.write_eof()
            return
        if proxy.mode == "cut" and is_answer:
            left = proxy.cut_after - self._passed
            writer.write(block[: max(0, left)])
            await writer.drain()
            if len(block) >= left:
                raise _HangUp
        elif proxy.mode == "throttle":
            step = max(1, int(proxy.bytes_per_second * _SLICE_SECONDS))
            for start in range(0, len(block), step):
                writer.write(block[start : start + step])
                await writer.drain()
                await asyncio.sleep(_SLICE_SECONDS)
        else:
            writer.write(block)
            await writer.drain()
        self._passed += len(block) if is_answer else 0

    async def watch(self) -> None:
        """Return as soon as this connection is to be hung up."""
        while self._proxy.mode != "reset" and (not self._lost or self._proxy.mode == "blackhole"):
            await asyncio.sleep(_SLICE_SECONDS)

    def request(self, block: bytes) -> None:
        """Note the EndTxn requests whose replies are wanted."""
        for head in self._requests.heads(block):
            api_key, _, correlation_id = struct.unpack_from(">hhi", head)
            if api_key == END_TXN:
                self._proxy.end_txns += 1
                if self._proxy.swallow(self._proxy.end_txns):
                    self._to_swallow.add(correlation_id)

    def answer(self, block: bytes) -> None:
        """Close the connection or send nothing in place of a held reply. (A reply is small: one block.)"""
        for head in self._answers.heads(block):
            if struct.unpack_from(">i", head)[0] in self._to_swallow:
                self._proxy.swallowed += 1
                if not self._proxy.holds:
                    raise _HangUp
                self._silent = True


class _Frames:
    """Cuts a stream of length-prefixed frames, and gives the first eight bytes of each."""

    def __init__(self) -> None:
        self._held = b""
        self._skip = 0

    def heads(self, block: bytes) -> list[bytes]:
        """The heads of the frames that begin in this block, or began before and have their eighth byte in it."""
        found = []
        data, self._held = self._held + block, b""
        while data:
            skipped = min(self._skip, len(data))
            data, self._skip = data[skipped:], self._skip - skipped
            if len(data) < 12:
                self._held = data
                break
            length = struct.unpack_from(">I", data)[0]
            found.append(data[4:12])
            self._skip = 4 + length
        return found
