"""`correnteza monitor`: metrics for Prometheus and a status page for people, from memory."""

import signal
import sys
import threading
from typing import Annotated

import typer

from correnteza.settings import Settings
from correnteza.watching import watched
from foundation import notify
from foundation.log import get_logger
from monitoring.metrics.server import Server
from monitoring.watch.monitor import Monitor


def command(
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. Default: the setting monitor_port, 9464.")
    ] = None,
) -> None:
    """Read the state of the pipeline every few seconds and serve it, until SIGTERM or Ctrl-C.

    It serves /metrics for Prometheus, / as a page for people, /status.json for programs, /healthz (it runs and
    reads every part) and /readyz (it has read every part once, and broker, registry, lake, checkpoints and disk
    answer).

    It reads Kafka's admin API, the Delta logs and Spark's checkpoints, so its answers are right when the driver is
    down; without the broker it shows the values from the files. If one part fails, for example the broker,
    correnteza_up{part="broker"} is 0, and values that only this part has are absent, never wrong. docs/metrics.md lists
    every metric.

    It writes nothing, unless CORRENTEZA_SHADOW_GROUP names a consumer group that shows bronze's lag to other tools.
    It listens on 127.0.0.1 unless CORRENTEZA_METRICS_HOST says otherwise: there is no password. The driver's and the
    pollers' own counters are at their own ports (9465, 9466); Prometheus scrapes all three:
    deploy/prometheus/prometheus.yml.

    `correnteza up` runs a monitor too.

    Exit codes: 0 stopped as asked · 2 the port is taken.
    """
    settings = Settings()
    chosen = settings.monitor_port if port is None else port
    monitor = Monitor(watched(settings), every=settings.monitor_interval_seconds)
    server = Server(settings.metrics_host, chosen, monitor.pages())
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: stop.set())
    monitor.parts.start()
    server.start()
    url = f"http://{settings.metrics_host}:{server.port}/"
    print(f"monitor={url}", flush=True)
    print(f"status page: {url}  metrics: {url}metrics", file=sys.stderr)
    get_logger("monitor").info("monitor_started", url=url)
    notify.ready()
    while not stop.wait(notify.ALIVE_SECONDS):
        if not monitor.parts.stuck():
            notify.alive()
    monitor.parts.stop()
    server.shutdown()
    get_logger("monitor").info("monitor_stopped")
