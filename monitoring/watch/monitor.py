"""The monitor: its parts, and its answers."""

import json
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring.metrics import catalogue
from monitoring.metrics.families import SampledMetrics, Samples
from monitoring.metrics.instruments import Instruments
from monitoring.metrics.instruments import registry as process_registry
from monitoring.metrics.server import Answer, Page, metrics_of
from monitoring.watch.document import document
from monitoring.watch.expected import Expected, by_source
from monitoring.watch.history import History
from monitoring.watch.parts import Part, Parts
from monitoring.watch.samples import samples
from monitoring.watch.view import Place, Seen, View, seen
from monitoring.web import page

NEEDED = ("broker", "registry", "lake", "checkpoints", "disk")
"""The parts that must answer for the monitor to be ready. Schedule and driver are not among them: they are only
watched."""


@dataclass(frozen=True)
class Watched:
    """The watched queries and parts.

    Attributes:
        places: every query, layer by layer.
        topics: contract → topic, of those with a bronze table.
        looks: part → its look, in the catalogue's order.
        next_slots: source → its next slot, by its calendar.
        now: the clock for calendars; a replay may set it.
        canary_interval: seconds between two canaries; 0: none is sent.
        on_canary: registers a function that is called once per canary and stage, with stage and seconds.
    """

    places: Sequence[Place]
    topics: Mapping[str, str]
    looks: Mapping[str, Callable[[], Any]]
    expected: Sequence[Expected]
    next_slots: Callable[[], Mapping[str, datetime]]
    now: Callable[[], datetime]
    version: str
    canary_interval: float
    on_canary: Callable[[Callable[[str, float], None]], None] = lambda told: None


class Monitor:
    """Answers come from memory; the parts read the pipeline's state in the background."""

    def __init__(self, watched: Watched, *, every: float) -> None:
        """Args: every: seconds between two looks at a part."""
        self._watched = watched
        self._history = History()
        self._adding = threading.Lock()
        by_name = {name: Part(name, watched.looks[name]) for name in catalogue.PARTS}
        self.parts = Parts(by_name, every, self._remember)
        self.registry = process_registry()
        metrics = catalogue.of("monitor")
        self.registry.register(SampledMetrics(metrics, self.samples))
        self._counted = Instruments([each for each in metrics if each.kind == "histogram"], self.registry)
        for stage in catalogue.STAGES:
            self._counted.make("canary_latency_seconds", stage)
        watched.on_canary(lambda stage, took: self._counted.observe("canary_latency_seconds", stage, value=took))

    def view(self) -> View:
        """The present state of all parts."""
        part = self.parts.by_name
        lake, last_lake = part["lake"].known, part["lake"].last_good
        checkpoints, last_checkpoints = part["checkpoints"].known, part["checkpoints"].last_good
        schedule, last_schedule = part["schedule"].known, part["schedule"].last_good
        # If a part of the lake cannot be read, its last known state is kept; otherwise tables that are gone are
        # dropped.
        whole = part["lake"].answers
        tables = {} if last_lake is None or whole else dict(last_lake.tables)
        return View(
            now=time.time(),
            kafka=part["broker"].known,
            checkpoints=checkpoints,
            lake=lake,
            schedule=schedule,
            disk=part["disk"].known,
            tables=tables | dict(lake.tables if lake is not None else {}),
            queries=checkpoints or last_checkpoints or {},
            sources=schedule or last_schedule or {},
            last_lake=lake if lake is not None else last_lake,
            next_slots=self._watched.next_slots(),
            periods_missing={} if lake is None else by_source(self._watched.expected, lake.newest, self._watched.now()),
        )

    def samples(self) -> Samples:
        """The values of its gauges and counters."""
        view = self.view()
        found = samples(view, self._seen(view), self.parts.by_name, self._watched.places, self._watched.topics)
        found["canary_interval_seconds"] = {(): self._watched.canary_interval}
        found["build_info"] = {(self._watched.version, platform.python_version()): 1.0}
        return found

    def document(self) -> dict[str, Any]:
        """The document of `/status.json`."""
        view = self.view()
        places = self._watched.places
        found = document(view, self._seen(view), self.parts.by_name, places)
        return found | {"canary_interval_seconds": self._watched.canary_interval}

    def pages(self) -> dict[str, Page]:
        """Path → page."""
        return {
            "/": lambda headers: self._page(),
            "/still": lambda headers: self._page(renews=False),
            "/status.json": lambda headers: _json(self.document()),
            "/metrics": metrics_of(self.registry),
            "/healthz": lambda headers: self.health(),
            "/readyz": lambda headers: self.readiness(),
        }

    def health(self) -> Answer:
        """Whether the monitor itself makes progress."""
        stuck = self.parts.stuck()
        return _json({"is_progressing": not stuck, "stuck": stuck}, 503 if stuck else 200)

    def readiness(self) -> Answer:
        """Whether every part was read once, and the needed parts answer."""
        down = {name: self.parts.by_name[name].why_down for name in NEEDED if not self.parts.by_name[name].answers}
        is_ready = self.parts.is_complete and not down
        return _json({"is_ready": is_ready, "down": down}, 200 if is_ready else 503)

    def _page(self, *, renews: bool = True) -> Answer:
        html = page.render(self.document(), self._history.read(), renews=renews)
        return Answer(html.encode(), "text/html; charset=utf-8")

    def _seen(self, view: View) -> list[Seen]:
        return seen(view, self._watched.places)

    def _remember(self) -> None:
        now = time.time()
        if not self.parts.is_complete or not self._history.is_due(now) or not self._adding.acquire(blocking=False):
            return
        try:
            lines = [each.line for each in self._seen(self.view())]
            lag = {f"{each.layer}.{each.table}": each.seconds_behind for each in lines}
            fresh = {
                f"{each.layer}.{each.table}": now - each.newest_event_at.timestamp()
                for each in lines
                if each.newest_event_at is not None
            }
            self._history.add(
                now,
                {
                    "lag_seconds": {name: value for name, value in lag.items() if value is not None},
                    "freshness_seconds": fresh,
                },
            )
        finally:
            self._adding.release()


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps(value, indent=1).encode() + b"\n", "application/json", status)
