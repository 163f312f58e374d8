"""`correnteza schedule`: poll every source at each of its slots, until stopped."""

from collections.abc import Callable
from typing import Annotated

import typer

from correnteza import polling
from correnteza.embedded import ports
from correnteza.polling import poll_source
from correnteza.serving import serve_metrics
from correnteza.settings import Settings
from monitoring.metrics.schedule import ScheduleMetrics
from producers import sources
from producers.model import Source
from producers.poll import Outcome
from producers.schedule.attempt import Now
from producers.schedule.canary import Canary
from producers.schedule.scheduler import Scheduler
from producers.schedule.worker import end, run
from schemas.registry import Registry, prove_compatibility


def command(
    only: Annotated[
        list[str] | None,
        typer.Option("--source", help="A source to schedule; repeat it for more. Default: every source."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of /healthz on 127.0.0.1; 0 takes a free one and logs it.")] = 0,
    stall_seconds: Annotated[
        float,
        typer.Option(help="Exit with code 75 after so many seconds without progress, to be started again.", min=1),
    ] = 120.0,
) -> None:
    """Run one worker of the schedule until SIGTERM or Ctrl-C; both let polls reach the end of a chunk.

    The leader writes a request to poll.requests for every slot of a source's calendar that is due, also for slots that
    passed while nothing ran. Workers share the requests; `correnteza sources` prints their outcomes (poll.outcomes).
    A poll that failed is tried again after 2, 4, 8 ... 60 minutes (poll.retry), six times (then poll.dead). A source
    that failed three times in a row is not polled for 15 minutes, then for twice as long, up to 6 hours.

    One worker is enough. A second one on this machine takes over when the first has been silent for 6 seconds; no slot
    is lost and nothing is published twice. A worker on another machine needs the setting `archive` to name an object
    store, which all workers share. Give all workers of one topic prefix the same --source.

    A slot that another scheduler has polled (`poll --slot`) is not polled again, and while it does the worker waits.

    The leader also sends the canary, a test record (CORRENTEZA_CANARY_INTERVAL_SECONDS, 0 for none).

    If another process polls one of the sources (`poll`, `withdrawals accept`, a new worker), the poll that runs here
    ends as `fenced`. The source is polled again at its next slot; the other sources go on.

    Exit codes: 0 it was told to stop · 3 going on is unsafe · 75 no progress: start it again.
    """
    settings = Settings()
    chosen = {name: sources.load(name) for name in only} if only else sources.load_all()
    prove_compatibility(settings.registry)  # before a schema is registered, not after

    def poll(source: Source, now: Now, is_stopping: Callable[[], bool]) -> Outcome:
        return poll_source(settings, source, now=now, is_stopping=is_stopping, on_chunk=lambda tally: None)

    metrics = ScheduleMetrics(chosen)
    serve_metrics(settings, "schedule", metrics.registry)
    turns = polling.turns(settings)
    scheduler = Scheduler(
        settings.bootstrap, settings.topic_prefix, chosen, poll, end, measures=metrics, turn=turns.of_worker
    )
    every, registry = settings.canary_interval_seconds, Registry(settings.registry)
    canary = Canary(settings.bootstrap, settings.topic_prefix, registry.register, every) if every else None
    folder = settings.run.resolve() / "faust"
    folder.parent.mkdir(parents=True, exist_ok=True)
    code = run(scheduler, port=port or ports.free(), stall_seconds=stall_seconds, folder=folder, canary=canary)
    raise typer.Exit(code)
