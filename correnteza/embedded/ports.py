"""Choose ports that stay free for us: they are stored in a file, and are outside the range for outgoing connections.

A client that keeps trying to reach a stopped broker may get the broker's port as its source port, and then it connects
to itself and occupies the port. That cannot happen outside the ephemeral range.
"""

import json
import random
import socket
from pathlib import Path

from correnteza.embedded.processes import write_json

HOST = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_000


def remembered(file: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A port per name: the stored ones if all are free now, otherwise new ones, which are stored."""
    try:
        ports: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        ports = {}
    if set(ports) == set(names) and all(_is_free(port) for port in ports.values()):
        return ports
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    write_json(file, ports)
    return ports


def free() -> int:
    """One port that is free now and that no outgoing connection uses."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    candidates = random.sample(range(LOWEST, HIGHEST), 500)
    return [port for port in candidates if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java binds: a port in TIME_WAIT after a restart counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(host: str, port: int) -> bool:
    """Whether a program listens at the port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
