"""Choose ports that stay ours: remembered in a file, and outside the range that outgoing connections use.

A client that keeps trying to reach a stopped broker may be given the broker's own port as its source port, and then
connects to itself and holds it. That cannot happen outside the ephemeral range.
"""

import json
import random
import socket
from pathlib import Path

from correnteza.embedded.processes import write_json

HOST = "127.0.0.1"
LOWEST, HIGHEST = 20_000, 32_000


def remembered(file: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A port per name: the remembered ones if all are free now, otherwise new ones, remembered."""
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
    """One port that is free now and that no outgoing connection takes."""
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
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
