"""`correnteza replay-source`: serve recorded publications of the real sources until interrupted."""

import json
import signal
import threading

import typer

from replay.server import serve


def command(
    port: int = typer.Option(0, help="Port on the loopback interface; 0 takes a free one."),
    day: int = typer.Option(1, help="Publication day to begin with; POST /_replay/day switches it."),
) -> None:
    """Print the base URLs as one JSON line, then serve recorded publications of the real sources."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serve(day=day, port=port) as replay:
        print(json.dumps({"base_urls": replay.base_urls}), flush=True)
        stop.wait()
