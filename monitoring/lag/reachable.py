"""Whether a server listens at Kafka's address. This is known at once; a client would retry until its timeout."""

import queue
import socket
import threading
import time
from urllib.parse import urlsplit

from foundation.errors import DependencyUnavailable

DEFAULT_PORT = 9092


def check(bootstrap: str, seconds: float) -> None:
    """Return as soon as one of the servers accepts a connection.

    Args:
        bootstrap: `host:port[,host:port]`.
        seconds: for all of them together, their names' look-up included.

    Raises:
        DependencyUnavailable: none does.
    """
    servers = [each.strip() for each in bootstrap.split(",") if each.strip()]
    answers: queue.Queue[str | None] = queue.Queue()
    for server in servers:
        # No pool: a look-up that hangs must not keep the process from ending.
        threading.Thread(target=_ask, args=(server, seconds, answers), name="reachable", daemon=True).start()
    deadline = time.monotonic() + seconds
    refusals = []
    for _ in servers:
        try:
            refusal = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            refusals.append(f"no connection within {seconds:g} s")
            break
        if refusal is None:
            return
        refusals.append(refusal)
    raise no_answer(bootstrap, "; ".join(dict.fromkeys(refusals)) or "no server is named")


def no_answer(bootstrap: str, why: str) -> DependencyUnavailable:
    """The error that Kafka does not answer, with a hint."""
    return DependencyUnavailable(
        f"Kafka at {bootstrap} does not answer: {why}", hint="correnteza up, or set CORRENTEZA_KAFKA_BOOTSTRAP"
    )


def _ask(server: str, seconds: float, answers: "queue.Queue[str | None]") -> None:
    try:
        socket.create_connection(_address(server), timeout=seconds).close()
    except (OSError, ValueError) as error:
        answers.put((error.strerror if isinstance(error, OSError) else None) or str(error))
    else:
        answers.put(None)


def _address(server: str) -> tuple[str, int]:
    """Host and port of an address in any form that the client accepts: `PLAINTEXT://host:port`, `host`,
    `[::1]:port`."""
    named = urlsplit(f"//{server.rpartition('://')[2]}")
    return named.hostname or "localhost", named.port or DEFAULT_PORT
