"""The whole data path on one machine: recorded publications of the real sources, through real Kafka, Spark and Delta.

It keeps everything in its own home, so it can be run again: the second run starts where the first one ended, polls
the last publication day again, and shows that a replayed day publishes nothing; there is then nothing to stream, and
Spark is not started.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from correnteza import polling, topics
from correnteza import spark as sessions
from correnteza.embedded.stack import OBJECT_STORE, SERVICES, Stack
from correnteza.places import places
from correnteza.settings import Settings
from foundation import clock
from producers import sources
from producers.model import Source
from producers.poll import poll
from replay.server import DAYS, Replay, serve
from schemas.contracts import load_all
from schemas.registry import Registry, prove_compatibility
from stream_jobs.bronze.job import Broker
from stream_jobs.running.driver import StreamDriver
from stream_jobs.running.jobs import LAYERS

Announce = Callable[[str], None]

POLLS_AT_ONCE = 4
"""A poll spends most of its second waiting for the broker to begin a transaction."""

USUAL_SECONDS = {
    "start broker and registry": 8,
    **{f"poll day {day}": 5 for day in DAYS},
    "start Spark": 2,
    **dict(zip((f"stream to {layer}" for layer in LAYERS), (45, 65, 105), strict=True)),
    f"poll day {DAYS[-1]} again": 4,
    "verify": 20,
}
"""Step → seconds on two mostly idle cores. A busy machine takes longer."""

FIRST_RECORDED_AT = datetime(2025, 11, 10, 15, tzinfo=UTC)
"""The first publication day of the replay."""


@dataclass
class Report:
    """The result of a demo.

    Attributes:
        seconds: stage → wall-clock seconds, in order.
        published: publication day → source → records published.
        replayed: source → records published when the last day was polled once more: all must be zero.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    published: dict[int, dict[str, int]] = field(default_factory=dict)
    replayed: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, announce: Announce) -> Iterator[None]:
        """Announce a stage and add its time."""
        announce(name)
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began


def run(settings: Settings, announce: Announce, prove: Callable[[Settings], None], *, in_store: bool = False) -> Report:
    """Publish every recorded day that this home has not seen yet, stream them to gold, then poll the last day again.

    Args:
        announce: called with the name of each stage when it begins.
        prove: called last, with the settings of the services that still run.
        in_store: whether an object store runs beside broker and registry.

    Raises:
        CorrentezaError: a source or the stream failed; what was started is stopped in any case.
    """
    report = Report()
    marker = settings.home / "demo-day"
    last_day = int(marker.read_text()) if marker.exists() else 0
    to_publish = DAYS[last_day:]
    names = (*SERVICES, OBJECT_STORE) if in_store else tuple(SERVICES)
    with ExitStack() as services:
        with ExitStack() as streaming:
            if to_publish:
                # Spark's JVM takes about as long to start as broker and registry, so they start at the same time.
                session = streaming.enter_context(ThreadPoolExecutor(1)).submit(
                    sessions.start, settings, short_lived=True
                )
                streaming.callback(lambda: sessions.end(session.result()))
            with report.stage("start broker and registry", announce):
                stack = services.enter_context(Stack(settings, names))
                settings = settings.model_copy(update=stack.endpoints)
                topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
                prove_compatibility(settings.registry)
            replay = services.enter_context(serve(day=max(last_day, DAYS[0])))
            for day in to_publish:
                replay.set_day(day)
                with report.stage(f"poll day {day}", announce):
                    report.published[day] = _poll_all(settings, replay)
            if to_publish:
                with report.stage("start Spark", announce):
                    spark = session.result()
                    sessions.reach_store(spark, settings)  # it may have begun before the store
                for layer in LAYERS:
                    with report.stage(f"stream to {layer}", announce):
                        _driver(settings, spark, layer).run_once(threading.Event())
                marker.write_text(str(DAYS[-1]))
        # Spark has ended, because `verify` needs half a gigabyte.
        with report.stage(f"poll day {replay.day} again", announce):
            report.replayed = _poll_all(settings, replay)
        with report.stage("verify", announce):
            prove(settings)
    return report


def recorded_at(day: int) -> datetime:
    """When a publication day is polled: in the afternoon, UTC, after that day's publications of the morning."""
    return FIRST_RECORDED_AT + timedelta(days=day - DAYS[0])


def _driver(settings: Settings, spark: SparkSession, layer: str) -> StreamDriver:
    broker = Broker(settings.bootstrap, settings.topic_prefix)
    registry = Registry(settings.registry)
    return StreamDriver(spark, places(settings), broker=broker, registry=registry, layers=(layer,))


def _poll_all(settings: Settings, replay: Replay) -> dict[str, int]:
    """Records published per source. Raises: CorrentezaError when a poll failed."""
    services = polling.services(settings)

    def published(source: Source) -> int:
        # With the clock of the recorded day, so that requests for the days before it get the recorded answers.
        outcome = poll(source, services, now=lambda: recorded_at(replay.day), base_url=replay.base_urls[source.name])
        if outcome.error:
            raise outcome.error
        return outcome.tally.rows

    replayed = [source for source in sources.load_all().values() if source.name in replay.base_urls]
    with _clock_of(replay.day), ThreadPoolExecutor(POLLS_AT_ONCE) as pool:
        return dict(zip((source.name for source in replayed), pool.map(published, replayed), strict=True))


@contextmanager
def _clock_of(day: int) -> Iterator[None]:
    """The clock of that day: values of a source without a publication clock are known from the time of the fetch."""
    before = os.environ.get(clock.VARIABLE)
    os.environ[clock.VARIABLE] = f"{recorded_at(day).isoformat()}@1@{time.time()}"
    try:
        yield
    finally:
        if before is None:
            del os.environ[clock.VARIABLE]
        else:
            os.environ[clock.VARIABLE] = before
