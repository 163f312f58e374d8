"""Tell systemd how this process is: that it is ready, and that it goes on.

The protocol of sd_notify(3): datagrams to the Unix socket that `NOTIFY_SOCKET` names. Without systemd nothing is sent.
"""

import os
import socket
import time

ALIVE_SECONDS = 5.0
"""At most one sign of life in so long; the units allow minutes without one."""

_ALIVE = "WATCHDOG=1"
_sent = {_ALIVE: -ALIVE_SECONDS}
"""Message to the moment when it was last sent."""


def ready() -> None:
    """The service does from now on what it is for."""
    _send("READY=1")


def alive() -> None:
    """It goes on. Called by the loop whose end would be the end of the service, never by a thread of its own."""
    now = time.monotonic()
    if now - _sent[_ALIVE] >= ALIVE_SECONDS:
        _sent[_ALIVE] = now
        _send(_ALIVE)


def _send(message: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the kernel, not in the file system
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.send(message.encode())
    except OSError:
        pass  # systemd judges by what arrives; the work does not depend on it
