"""`correnteza run`: the streaming layers in one Spark driver."""

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer
from py4j.protocol import Py4JError

from correnteza import spark as sessions
from correnteza.places import places
from correnteza.serving import serve_metrics
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.metrics.stream import StreamMetrics
from schemas.contracts import ours
from schemas.registry import Registry
from storage.probe import require_conforming
from stream_jobs.bronze.job import bronze_contracts, table_name
from stream_jobs.gold import model as gold
from stream_jobs.running.driver import Stage, StreamDriver
from stream_jobs.running.jobs import LAYERS, Broker, absent
from stream_jobs.silver.tables import model as silver


def command(
    layer: Annotated[str, typer.Argument(help=f"{', '.join(LAYERS)} or all.")] = "all",
    once: Annotated[
        bool, typer.Option("--once", help="Read everything that is there, layer after layer, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print what was read as JSON.")] = False,
) -> None:
    """Keep bronze, silver and gold up to date. SIGTERM stops between batches, a second SIGTERM at once."""
    if layer not in (*LAYERS, "all"):
        raise UsageError(f"no layer {layer}", hint="correnteza run all")
    settings = Settings()
    stop = _stop_on_signals()
    stages = drive(settings, LAYERS if layer == "all" else (layer,), stop, once=once)
    if once:
        _print(stages, as_json=as_json)


def drive(settings: Settings, layers: tuple[str, ...], stop: threading.Event, *, once: bool) -> list[Stage]:
    """Run the layers in a JVM of this process; returns how much each layer read if `once`, else nothing.

    Raises:
        DependencyUnavailable: one of our topics does not exist, or the broker or the object store is away. A topic of
            others that does not exist keeps its own query from starting, and no other.
        UnsafeState: the object store cannot keep two drivers apart.
    """
    broker = Broker(settings.bootstrap, settings.topic_prefix)
    registry = Registry(settings.registry)
    if "bronze" in layers:
        # Before the JVM starts, because this check needs none.
        for topic in _absent(broker):
            raise absent(topic)
    require_conforming(settings.lake_root)
    spark = sessions.start(settings, short_lived=once, master=settings.spark_master)
    try:
        metrics = StreamMetrics(*measured(layers))
        driver = StreamDriver(
            spark, places(settings), broker=broker, registry=registry, layers=layers, measures=metrics
        )
        if not once:
            serve_metrics(settings, "stream", metrics.registry)
        if once:
            return driver.run_once(stop)
        intervals = {name: float(getattr(settings, f"{name}_interval_seconds")) for name in LAYERS}
        driver.run(
            stop,
            intervals,
            settings.stop_timeout_seconds,
            maintenance_seconds=settings.maintenance_interval_seconds,
        )
        return []
    finally:
        with suppress(Py4JError, ConnectionError):  # if the JVM is gone, there is nothing to stop
            spark.stop()


def _absent(broker: Broker) -> list[str]:
    """Those of our topics that do not exist."""
    names = [contract.topic_at(broker.prefix) for contract in ours(bronze_contracts())]
    there = broker.topic_ids(names)
    return [name for name in names if name not in there]


def measured(layers: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The queries of some layers, and the tables and datasets whose expectations may be broken."""
    tables = [table for table in gold.discover().values() if isinstance(table, gold.GoldTable)]
    queries = {
        "bronze": [table_name(contract) for contract in bronze_contracts()],
        "silver": [f"silver.{name}" for name in silver.discover()],
        "gold": [f"gold.{table.name}" for table in tables],
    }
    judged = {"bronze": [], "silver": [*silver.discover()], "gold": queries["gold"]}
    return [each for layer in layers for each in queries[layer]], [each for layer in layers for each in judged[layer]]


def _stop_on_signals() -> threading.Event:
    """Set by the first SIGTERM or Ctrl-C; the second ends the process at once, which is safe but repeats a batch."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def _print(stages: list[Stage], *, as_json: bool) -> None:
    if as_json:
        json.dump([asdict(stage) for stage in stages], sys.stdout)
        print()
        return
    for stage in stages:
        print(f"{stage.layer}: {stage.seconds:.1f} s")
        for query, rows in stage.rows.items():
            print(f"  {query:40} {rows:>12,} rows read")
