"""Whether a service answers, as an exit code: the health check of a container. Nothing but the standard library.

python -m correnteza.healthy http://127.0.0.1:9464/healthz    0 when it answers 200
python -m correnteza.healthy broker:9092                      0 when it takes connections
"""

import socket
import sys
import urllib.error
import urllib.request

SECONDS = 5.0


def answers(address: str) -> bool:
    """Whether a URL answers with 200, or host:port takes a connection."""
    # An address of our own: whatever proxy the environment names has no business here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        if "://" in address:
            with opener.open(address, timeout=SECONDS) as answer:
                return bool(answer.status == 200)
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), SECONDS).close()
        return True
    except (urllib.error.URLError, OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
