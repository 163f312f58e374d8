"""A broker for one test module: it can be killed and restarted, and clients get the address of a proxy."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from correnteza.embedded import broker, ports
from correnteza.embedded.processes import stop_tree
from correnteza.embedded.service import wait_ready
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from tests.proxy import Proxy


class OwnBroker:
    """The broker, the proxy's address for clients, and the direct address for oracles."""

    def __init__(self, stack: Stack, proxy: Proxy) -> None:
        self._stack = stack
        self.proxy = proxy
        self.direct = stack.endpoints["kafka_bootstrap"]

    def stop(self, *, cleanly: bool) -> None:
        """End it, by SIGTERM or by SIGKILL, and wait until it has ended."""
        process = self._stack.processes["broker"]
        if cleanly:
            stop_tree(process.pid, seconds=60)
        else:
            process.send_signal(signal.SIGKILL)
        process.wait(30)

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections and answers nothing."""
        self._stack.processes["broker"].send_signal(signal.SIGSTOP)

    def start(self) -> None:
        """Start it again, as the supervisor of `correnteza up` does, and wait until it answers. In the main thread."""
        service = self._stack.services["broker"]
        self._stack.run(service)
        wait_ready(service, self._stack.processes["broker"].poll)


@contextmanager
def own_broker(folder: Path, to_itself: str = "PLAINTEXT") -> Iterator[OwnBroker]:
    """A broker with a second listener, advertised at the proxy's port; it ends timed-out transactions within 500 ms.

    Args: to_itself: the listener by which its coordinator reaches its partitions; PROXIED: through the proxy.
    """
    behind = ports.remembered(folder / "ports.json", ("proxied",))["proxied"]
    with pytest.MonkeyPatch.context() as patch, Proxy((ports.HOST, behind)) as proxy:
        properties = (
            broker._PROPERTIES.replace(
                "listeners=PLAINTEXT://{address},",
                f"listeners=PLAINTEXT://{{address}},PROXIED://127.0.0.1:{behind},",
                1,
            )
            .replace(
                "advertised.listeners=PLAINTEXT://{address}",
                f"advertised.listeners=PLAINTEXT://{{address}},PROXIED://{proxy.address}",
            )
            .replace("protocol.map=PLAINTEXT:PLAINTEXT,", "protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,")
        )
        assert properties.count("PROXIED") == 3
        properties = properties.replace("broker.listener.name=PLAINTEXT", f"broker.listener.name={to_itself}")
        properties += "transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n"
        patch.setattr(broker, "_PROPERTIES", properties)
        with Stack(Settings(home=folder / "home"), ("broker",)) as stack:
            yield OwnBroker(stack, proxy)
