"""One fault, one alert, with everything real: pipeline, monitor, Prometheus and Alertmanager; durations divided.

The canary comes once a minute whatever the durations are divided by, so CanaryMissing is left out here;
tests/monitoring/alerts has it with series that a test makes up.
"""

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from correnteza.demo import recorded_at
from correnteza.embedded import ports
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from foundation import clock
from monitoring.dashboards.panels import queries
from replay.server import DAYS, serve
from schemas.contracts import load
from tests.helpers import UNMODIFIED, Command, run_to_its_end, start_commands, wait_for
from tests.monitoring.alerts.live import Alerting, alerting
from tests.records import publish

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.integration]

FACTOR = 30.0
"""Ten minutes are 20 s."""
QUIET_SECONDS = 20.0
LONG = 240.0
DATASET = "bcb_ptax"
UNREADABLE = 40


class World:
    """A pipeline that has drained what its sources sent, and everything that watches it."""

    def __init__(self, alone: Any, variables: dict[str, str], folder: Path, settings: Settings) -> None:
        self.variables = variables
        self.settings = settings
        self.folder = folder
        self.up: Command = alone("up", "stream", "schedule", "monitor", **variables)
        self.seconds: dict[str, dict[str, float]] = {}

    def tree(self, verb: str) -> list[psutil.Process]:
        """A process of `up` and all below it."""
        for child in psutil.Process(self.up.pid).children():
            if verb in child.cmdline():
                return [child, *child.children(recursive=True)]
        return []

    def pause(self, verb: str) -> None:
        """SIGSTOP: it lives, and answers nothing."""
        for process in self.tree(verb):
            process.suspend()

    def go_on(self, verb: str) -> None:
        for process in self.tree(verb):
            process.resume()

    def command(self, *arguments: str, **variables: str) -> Any:
        return run_to_its_end(self.settings, self.folder, UNMODIFIED, arguments, {**self.variables, **variables})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SimpleNamespace]:
    targets = {name: [ports.free()] for name in ("monitor", "stream", "schedule")}
    with Stack(Settings(home=tmp_path / "services")) as stack, serve(day=DAYS[0]) as replay:
        settings = Settings(home=tmp_path / "home", **stack.endpoints)
        variables = {
            "CORRENTEZA_MONITOR_PORT": str(targets["monitor"][0]),
            "CORRENTEZA_STREAM_METRICS_PORT": str(targets["stream"][0]),
            "CORRENTEZA_SCHEDULE_METRICS_PORT": str(targets["schedule"][0]),
            "CORRENTEZA_MONITOR_INTERVAL_SECONDS": "1",
            "CORRENTEZA_BASE_URLS": json.dumps(replay.base_urls),
            clock.VARIABLE: f"{recorded_at(DAYS[0]).isoformat()}@1@{time.time()}",
        }
        first = run_to_its_end(settings, tmp_path, UNMODIFIED, ("topics", "apply"), variables)
        assert first.returncode == 0, first.stderr
        starting = start_commands(settings, tmp_path)
        pipeline = World(next(starting), variables, tmp_path, settings)
        try:
            with alerting(tmp_path / "alerting", targets, FACTOR, without=("CanaryMissing",)) as all_:
                yield SimpleNamespace(pipeline=pipeline, all=all_, stack=stack)
        finally:
            for verb in ("run", "schedule", "monitor"):
                pipeline.go_on(verb)
            next(starting, None)


def drained(all_: Alerting) -> bool:
    """Whether every source was polled, and nothing waits anywhere."""
    polled = all_.query("count(correnteza_source_last_success_timestamp_seconds)")
    waiting = all_.query("sum(correnteza_lag_records)")
    return bool(polled) and polled[0]["value"][1] == "11" and bool(waiting) and waiting[0]["value"][1] == "0"


@contextmanager
def fault(world: SimpleNamespace, name: str, alert: str, pages: set[str], **labels: str) -> Iterator[float]:
    """Within the block the fault is there, and its alert is told; after it, its end is told, and all is quiet."""
    all_, since = world.all, time.monotonic()
    yield since
    fired = all_.wait_told(alert, "firing", since, LONG, **labels).at
    ended = time.monotonic()
    resolved = all_.wait_told(alert, "resolved", since, LONG, **labels).at
    all_.wait_quiet(LONG)
    print(f"{name:<28} {alert:<20} {fired - since:6.1f} s; resolved {resolved - ended:6.1f} s after its end")
    assert all_.receiver.pages(since) == pages, all_.receiver.messages


def publish_old(world: SimpleNamespace, age: timedelta) -> None:
    """One record that nobody can read, of that age."""
    topic = load(DATASET).topic
    at = datetime.now(UTC) - age
    publish(world.stack.endpoints["kafka_bootstrap"], topic, [(b"key", b"unreadable")], at=at)


def test_each_fault_fires_its_alert_alone_and_a_quiet_time_fires_none(world):
    all_, pipeline = world.all, world.pipeline
    wait_for(lambda: drained(all_), "the sources' first publications are in gold", LONG)
    all_.wait_quiet(LONG)

    since = time.monotonic()
    wait_for(lambda: time.monotonic() > since + QUIET_SECONDS, "a quiet time", LONG)
    assert all_.receiver.fired(since) == []
    assert_dashboards_show(all_)

    # The driver hangs, while a record waits: what follows from it fires, too, and is kept back.
    with fault(world, "the driver hangs", "TargetDown", {"TargetDown"}, job="stream") as since:
        pipeline.pause("run")
        publish_old(world, timedelta())
        wait_for(lambda: "PipelineStalled" in all_.firing(), "PipelineStalled fires, too", LONG)
        pipeline.go_on("run")
    # The same, and the record that waits is about to be deleted: that wakes somebody again.
    with fault(world, "retention runs out", "RetentionMarginLow", {"TargetDown", "RetentionMarginLow"}) as since:
        pipeline.pause("run")
        publish_old(world, timedelta(days=6, hours=23))
        all_.wait_told("RetentionMarginLow", "firing", since, LONG)
        pipeline.go_on("run")
    with fault(world, "the broker hangs", "PartDown", {"PartDown"}, part="broker") as since:
        broker = world.stack.processes["broker"]
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            all_.wait_told("PartDown", "firing", since, LONG, part="broker")
        finally:
            os.kill(broker.pid, signal.SIGCONT)
    with fault(world, "the schedule hangs", "TargetDown", {"TargetDown"}, job="schedule") as since:
        pipeline.pause("schedule")
        all_.wait_told("TargetDown", "firing", since, LONG, job="schedule")
        pipeline.go_on("schedule")
    with fault(world, "a source is away", "SourceFailing", set(), source=DATASET) as since:
        for _ in range(3):
            pipeline.command(
                "poll", DATASET, CORRENTEZA_BASE_URLS=f'{{"{DATASET}": "http://127.0.0.1:{ports.free()}"}}'
            )
        all_.wait_told("SourceFailing", "firing", since, LONG, source=DATASET)
        assert pipeline.command("poll", DATASET).returncode == 0
    with fault(world, "a schema breaks", "QuarantineSpike", set(), dataset=DATASET) as since:
        garbage = [(b"key", b"unreadable %d" % number) for number in range(UNREADABLE)]
        publish(world.stack.endpoints["kafka_bootstrap"], load(DATASET).topic, garbage)
        all_.wait_told("QuarantineSpike", "firing", since, LONG, dataset=DATASET)


def assert_dashboards_show(all_: Alerting) -> None:
    """Every expression has finite values now, or a declared reason to have none; the console page shows every panel."""
    for query in queries():
        values = [float(each["value"][1]) for each in all_.query(query.expr)]
        assert values or query.empty_when, f"no value for {query.expr}"
        assert all(math.isfinite(each) for each in values), f"{query.expr}: {values}"
    page = all_.page("/consoles/correnteza.html")
    assert "no value: the process does not answer" not in page
    assert "NaN" not in page
