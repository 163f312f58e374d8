"""`correnteza replay-source`: serve recorded publications of the real sources until interrupted."""

import json
import signal
import threading
from typing import Annotated

import typer

from correnteza.settings import Settings
from replay.server import serve
from replay.volume import catalogue
from stream_jobs.gold.reference import municipalities


def command(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="Name or address to listen on. Default: only this machine.")] = "127.0.0.1",
    day: Annotated[int, typer.Option(help="Publication day to begin with; POST /_replay/day switches it.")] = 1,
    volume: Annotated[
        list[str] | None,
        typer.Option(
            help="Serve a generated publication of this size: mobile=5000000 (rows) or stations=600; repeatable."
        ),
    ] = None,
) -> None:
    """Print the base URLs as one JSON line, then serve recorded publications of the real sources."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    wanted = catalogue.sizes(volume or [])
    instead = catalogue.resources(wanted, Settings().home / "replay-volume", municipalities())
    with serve(day=day, port=port, instead=instead, host=host) as replay:
        print(json.dumps({"base_urls": replay.base_urls}), flush=True)
        stop.wait()
