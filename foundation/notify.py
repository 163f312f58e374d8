"""Tell systemd that this process is ready, and that it is alive.

The protocol of sd_notify(3): datagrams to the Unix socket that `NOTIFY_SOCKET` names. Without systemd nothing is sent.
"""

import os
import socket
import time

ALIVE_SECONDS = 5.0
"""Shortest time between two notifications; the units allow minutes without one."""

_ALIVE = "WATCHDOG=1"
_sent = {_ALIVE: -ALIVE_SECONDS}
"""Message → when it was last sent."""


def ready() -> None:
    """Report that the service has started."""
    _send("READY=1")


def alive() -> None:
    """Report that the service is alive. Called by the main loop of the service, never by a separate thread."""
    now = time.monotonic()
    if now - _sent[_ALIVE] >= ALIVE_SECONDS:
        _sent[_ALIVE] = now
        _send(_ALIVE)


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket, not in the file system
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.send(message.encode())
    except OSError:
        pass  # a lost message must not stop the work
