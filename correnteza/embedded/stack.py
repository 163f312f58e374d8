"""Broker, registry and object store of one home, started together: the part of `correnteza up` that tests and the demo
use too."""

import subprocess
from pathlib import Path
from types import TracebackType

from correnteza.embedded import jars
from correnteza.embedded.broker import broker
from correnteza.embedded.java import java
from correnteza.embedded.object_store import object_store
from correnteza.embedded.processes import clear_leftovers, end_group, lock_home, spawn, stop_tree, write_json
from correnteza.embedded.registry import registry
from correnteza.embedded.service import Service, wait_ready
from correnteza.settings import Settings
from foundation.log import get_logger

# In the order of their start: the registry takes longest, and the broker's first start formats its storage before that.
SERVICES = {"registry": registry, "broker": broker}
OBJECT_STORE = "object-store"
"""Beside `SERVICES`, only where it is asked for."""
ENDPOINTS = {"registry": "registry_url", "broker": "kafka_bootstrap", OBJECT_STORE: "s3_endpoint"}

KITS = {"registry": "registry", "broker": "kafka"}
"""Service → its kit of jars.lock."""

# A service's users stop before it. A service that is not named here stops first.
STOPPED_LAST = ("stream", "registry", "broker", OBJECT_STORE)


class Stack:
    """The embedded services of one home, as a context: ready inside it, stopped after it.

    Attributes:
        services: by name; `run` adds more.
        processes: the running process of each service.
        endpoints: setting name → address of each embedded service (`kafka_bootstrap`, `registry_url`,
            `s3_endpoint`).
    """

    def __init__(self, settings: Settings, names: tuple[str, ...] = tuple(SERVICES)) -> None:
        """Args: names: which of `broker`, `registry` and `object-store` to run; may be empty."""
        self._settings = settings
        self._names = [name for name in (*SERVICES, OBJECT_STORE) if name in names]
        self._run = settings.run.resolve()
        self.services: dict[str, Service] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.endpoints: dict[str, str] = {}

    def __enter__(self) -> "Stack":
        """Clear leftovers, start all at once, wait for all, write their addresses to `run/endpoints.json`.

        Raises:
            UnsafeState: another stack has this home.
            DependencyUnavailable: set-up has not run, or a service does not become ready.
        """
        self._lock = lock_home(self._run, self._settings.home)
        try:
            self._endpoints_file.unlink(missing_ok=True)
            for name in clear_leftovers(self._run):
                get_logger("stack").warning("leftover_stopped", process=name)
            for name in self._names:
                self.run(self._service(name))
            for name in self._names:
                wait_ready(self.services[name], self.processes[name].poll)
            self.endpoints = {ENDPOINTS[name]: self.services[name].address for name in self._names}
            write_json(self._endpoints_file, self.endpoints)
        except BaseException:
            self._stop()
            raise
        return self

    def run(self, service: Service) -> None:
        """Start a service, for the first time or again, without waiting until it is ready."""
        self.services[service.name] = service
        self.processes[service.name] = spawn(service.program, self._run)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, users before their services."""
        self._stop()

    def _service(self, name: str) -> Service:
        settings = self._settings
        if name == OBJECT_STORE:
            return object_store(settings.home.resolve(), settings.logs.resolve())
        jar_folder = jars.checked(jars.folder(settings), KITS[name])
        return SERVICES[name](settings.home.resolve(), settings.logs.resolve(), jar_folder, java(settings))

    def _stop(self) -> None:
        self._endpoints_file.unlink(missing_ok=True)
        first = [name for name in self.processes if name not in STOPPED_LAST]
        for name in [*first, *STOPPED_LAST]:
            if name in self.processes:
                stop_tree(self.processes[name].pid, seconds=self.services[name].stop_seconds)
                self.processes[name].wait()
                end_group(self.processes[name].pid)
        clear_leftovers(self._run)
        self._lock.close()

    @property
    def _endpoints_file(self) -> Path:
        return self._run / "endpoints.json"
