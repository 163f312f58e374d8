"""Make the monitor's inputs from settings and declarations. Nothing here needs Spark."""

import json
import shutil
import urllib.request
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

import httpx2

from correnteza.publications import expected
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import DependencyUnavailable
from monitoring.lag import inputs
from monitoring.lag.status import bronze_table
from monitoring.metrics.catalogue import LAYERS
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.watch.broker import BrokerPart, Kafka
from monitoring.watch.checkpoints import Checkpoints
from monitoring.watch.lake import LakePart
from monitoring.watch.monitor import Watched
from monitoring.watch.shadow import ShadowGroup
from monitoring.watch.view import Disk, Place, Slot, SourceState
from producers import sources
from producers.calendars import Calendar
from producers.schedule import circuit
from producers.schedule.outcomes import Record
from producers.schedule.plain import Tail
from schemas.contracts import CANARY, CANARY_TABLE, load_all
from schemas.queues import OUTCOMES

ANSWER_SECONDS = 1.5
"""How long registry and driver may take for an answer."""

OVERDUE_AFTER = timedelta(minutes=2)
"""Time after which a slot without an outcome is overdue; a poll may take that long."""
FURTHEST_BACK = timedelta(days=7)
"""The same limit as in the schedule: older slots are not emitted any more."""
OUTCOMES_KEPT = 24


def watched(settings: Settings) -> Watched:
    """Everything that the monitor reads."""
    streamed = [contract for contract in load_all().values() if not contract.compacted]
    contracts = [contract for contract in streamed if contract.name != CANARY]  # it has metrics of its own
    topics = {contract.name: contract.topic_at(settings.topic_prefix) for contract in contracts}
    bronze = [Place("bronze", bronze_table(each), topics[each.name], each.name) for each in contracts]
    reads = inputs.of_queries(contracts, {each.table: each.datasets for each in DEFINITIONS})
    derived = [Place(*_split(query), ", ".join(tables)) for query, tables in reads.items()]
    places = [*bronze, *derived]
    canaries = [f"{layer}.{CANARY_TABLE}" for layer in LAYERS]
    checkpoints = Checkpoints(settings.checkpoints)
    broker = BrokerPart(
        lambda: settings.bootstrap, checkpoints, topics, {each.contract or "": each.query for each in bronze}
    )
    tables = {each.contract or "": each.query for each in bronze}
    awaited = expected()
    lake = LakePart(settings.lake_root, checkpoints, reads, tables, awaited)
    calendars = {name: source.calendar for name, source in sources.load_all().items()}
    return Watched(
        places=places,
        topics=topics,
        looks={
            "broker": partial(_broker, settings, broker, _Followed(settings)),
            "registry": partial(_registry, settings, httpx2.Client(timeout=ANSWER_SECONDS)),
            "lake": lake.look,
            "checkpoints": partial(checkpoints.look, [*(each.query for each in places), *canaries]),
            "disk": partial(_disk, settings),
            "schedule": _Schedule(settings, calendars).look,
            "driver": partial(_driver, settings),
        },
        expected=awaited,
        next_slots=lambda: {name: calendar.next(clock.now()) for name, calendar in calendars.items()},
        now=clock.now,
        version=version("correnteza"),
        canary_interval=settings.canary_interval_seconds,
        on_canary=lambda told: setattr(lake, "on_canary", told),
    )


def _split(query: str) -> tuple[str, str]:
    layer, _, table = query.partition(".")
    return layer, table


class _Followed:
    """The shadow group; it is made once there is a broker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._group: tuple[str, ShadowGroup] | None = None

    def follow(self, kafka: Kafka) -> None:
        if self._settings.shadow_group is None:
            return
        bootstrap = self._settings.bootstrap
        if self._group is None or self._group[0] != bootstrap:
            self._group = bootstrap, ShadowGroup(bootstrap, self._settings.shadow_group)
        self._group[1].follow(kafka.positions)


def _broker(settings: Settings, part: BrokerPart, followed: _Followed) -> Kafka:
    found = part.look()
    followed.follow(found)
    return found


def _registry(settings: Settings, client: httpx2.Client) -> str:
    url = f"{settings.registry.rstrip('/')}/config"
    try:
        client.get(url).raise_for_status()
    except httpx2.HTTPError as error:
        raise DependencyUnavailable(
            f"the registry does not answer: {type(error).__name__}", hint="correnteza doctor"
        ) from error
    return url


def _disk(settings: Settings) -> Disk:
    folder = settings.home.resolve()
    while not folder.exists():
        folder = folder.parent
    found = shutil.disk_usage(folder)
    return Disk(found.free, found.total)


_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _driver(settings: Settings) -> Mapping[str, Any]:
    """Read the metrics page of this home's driver."""
    port = settings.stream_metrics_port
    if not port:
        raise DependencyUnavailable("the driver serves no metrics", hint="set CORRENTEZA_STREAM_METRICS_PORT")
    own = "127.0.0.1" if settings.metrics_host in ("0.0.0.0", "::") else settings.metrics_host
    host = settings.driver_host or own
    try:
        with _DIRECTLY.open(f"http://{host}:{port}/healthz", timeout=ANSWER_SECONDS) as answer:
            told: Mapping[str, Any] = json.loads(answer.read(4096))
    except (OSError, ValueError) as error:
        raise DependencyUnavailable(
            f"no driver answers at {host}:{port}: {error}", hint="correnteza run; or correnteza doctor"
        ) from error
    if told.get("home") != str(settings.home.resolve()):
        raise DependencyUnavailable(
            f"the driver that answers at {host}:{port} belongs to another home",
            hint="set CORRENTEZA_STREAM_METRICS_PORT for one of them",
        )
    return told


class _Schedule:
    """The recorded outcomes of each source, and the slots without a record."""

    def __init__(self, settings: Settings, calendars: Mapping[str, Calendar]) -> None:
        self._settings = settings
        self._calendars = calendars
        self._tail: tuple[str, Tail] | None = None
        self._records: dict[str, deque[Record]] = {}

    def look(self) -> dict[str, SourceState]:
        """Every source. Raises: TransientError."""
        bootstrap = self._settings.bootstrap
        if self._tail is None or self._tail[0] != bootstrap:
            self._tail = bootstrap, Tail(bootstrap, [self._settings.topic_prefix + OUTCOMES])
            self._records = {}
        for entry in self._tail[1].read():
            try:
                record = Record.from_json(entry.value)
            except ValueError:
                continue  # not written by us
            self._records.setdefault(record.source, deque(maxlen=OUTCOMES_KEPT)).append(record)
        now = clock.now()
        return {name: self._state(name, calendar, now) for name, calendar in self._calendars.items()}

    def _state(self, name: str, calendar: Calendar, now: datetime) -> SourceState:
        records = self._records.get(name, ())
        newest = records[-1] if records else None
        return SourceState(
            last_success_at=newest.last_success_at if newest else None,
            overdue=overdue(calendar, newest.scheduled_for if newest else None, now),
            circuit_open=newest is not None and circuit.state(newest.circuit_open_until, now) is circuit.State.OPEN,
            outcomes=tuple(Slot(each.outcome.value, each.scheduled_for) for each in records),
        )


def overdue(calendar: Calendar, newest: datetime | None, now: datetime) -> tuple[datetime, ...]:
    """The overdue slots after the newest one with an outcome, oldest first. Pure.

    Args: newest: None for a source that was never polled: then only the newest slot is overdue.
    """
    due = now - OVERDUE_AFTER
    if newest is None:
        return (calendar.latest(due),)
    return tuple(calendar.between(max(newest, now - FURTHEST_BACK), due))
