"""Driver and pollers serve their own metrics, each on its own port, while they work."""

import json
import os

from prometheus_client import CollectorRegistry

from correnteza.settings import Settings
from monitoring.metrics.catalogue import Process
from monitoring.metrics.server import Answer, metrics_of, serve_when_free


def serve_metrics(settings: Settings, process: Process, registry: CollectorRegistry) -> None:
    """Start to serve metrics, if a port is set. If it is in use, a warning is logged and it is tried again."""
    port = {"stream": settings.stream_metrics_port, "schedule": settings.schedule_metrics_port}.get(process, 0)
    if not port:
        return
    who = json.dumps({"process": process, "home": str(settings.home.resolve()), "pid": os.getpid()}).encode()
    pages = {"/metrics": metrics_of(registry), "/healthz": lambda headers: Answer(who, "application/json")}
    serve_when_free(settings.metrics_host, port, pages, process)
