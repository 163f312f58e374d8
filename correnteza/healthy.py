"""Whether a service answers, as an exit code: the health check of a container. Only the standard library is used.

python -m correnteza.healthy http://127.0.0.1:9464/healthz    0 when it answers 200
python -m correnteza.healthy broker:9092                      0 when it accepts connections
"""

import socket
import sys
import urllib.error
import urllib.request

SECONDS = 5.0


def answers(address: str) -> bool:
    """Whether a URL answers with 200, or host:port accepts a connection."""
    # A local address: proxies from the environment must not be used.
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
