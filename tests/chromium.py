"""A headless Chromium that tests look through: pages from a text, at a width, light or dark, measured and photographed.

It is spoken to over two pipes by its own protocol, so nothing else has to be installed.
"""

import base64
import fcntl
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import tools

MISSING = "no Chromium here, so nobody looked at the page: make tools, or apt-get install chromium"
ANSWER_WITHIN_SECONDS = 120.0


class Chromium:
    """One browser with one page."""

    def __init__(self, process: "subprocess.Popen[bytes]", write: int, read: int) -> None:
        self._process, self._write, self._read = process, write, read
        self._numbers = itertools.count(1)
        self._buffer = b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.on_page("Page.enable")

    def ask(self, method: str, *, _session: str | None = None, **parameters: Any) -> Any:
        """The browser's answer. Raises: RuntimeError when it reports an error."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": _session} if _session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def on_page(self, method: str, **parameters: Any) -> Any:
        """As `ask`, of the page."""
        return self.ask(method, _session=self._session, **parameters)

    def show(self, html: str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """A page of this text, without JavaScript of its own, of the given width."""
        self.on_page(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.on_page("Emulation.setEmulatedMedia", features=[scheme])
        frame = self.on_page("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.on_page("Page.setDocumentContent", frameId=frame, html=html)

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        found = self.on_page("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        found = self.on_page("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def _next(self) -> Any:
        deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            more = os.read(self._read, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _pipe() -> tuple[int, int]:
    """Both ends, with numbers that are neither 3 nor 4."""
    ends = os.pipe()
    high = fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(ends[1], fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(ends[0])
    os.close(ends[1])
    return high


@contextmanager
def chromium(profile: Path) -> Iterator[Chromium]:
    """A browser; the test is skipped where there is none."""
    browser = tools.browser()
    if browser is None:
        pytest.skip(MISSING)
    found, variables = browser
    (their_read, our_write), (our_read, their_write) = _pipe(), _pipe()
    # The protocol's pipes are the descriptors 3 and 4; a shell puts ours there.
    command = f'exec "$0" "$@" 3<&{their_read} 4>&{their_write}'
    arguments = [
        str(found), "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--hide-scrollbars", "--force-color-profile=srgb", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(
        ["/bin/bash", "-c", command, *arguments],
        pass_fds=(their_read, their_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **variables},
    )  # fmt: skip
    os.close(their_read)
    os.close(their_write)
    try:
        yield Chromium(process, our_write, our_read)
    finally:
        os.close(our_write)
        os.close(our_read)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
