"""`correnteza poll`: poll sources and publish what is new."""

import json
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from correnteza.settings import Settings
from foundation.errors import CorrentezaError, UsageError
from producers import sources
from producers.model import Source, Span
from producers.poll import Outcome, Services, poll
from producers.session import Tally
from schemas.registry import enforce_compatibility

FORMAT = 1
"""Version of the `--json` output."""

RETRY_AFTER = timedelta(minutes=5)
"""A poll that failed is tried again so soon, not at its next slot."""


def command(
    source: Annotated[str | None, typer.Argument(help="The source to poll; see --all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Poll every source.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Poll for the newest due slot and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per poll on stdout.")] = False,
) -> None:
    """Publish what is new at the sources, one transaction per chunk; nothing is published twice.

    Without --once: poll now, then at every due slot, until SIGTERM or Ctrl-C; both stop between two chunks.
    """
    if every == (source is not None):
        raise UsageError("name one source or say --all", hint="correnteza poll --all --once")
    chosen = list(sources.load_all().values()) if source is None else [sources.load(source)]
    poller = _Poller(Settings(), as_json=as_json)
    poller.run(chosen, once=once)


class _Poller:
    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        self._settings = settings
        self._as_json = as_json
        self._stop = threading.Event()
        self._signal: int | None = None
        self._console = Console(stderr=True)

    def run(self, chosen: list[Source], *, once: bool) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        enforce_compatibility(self._settings.registry)  # before a schema is registered, not after
        outcomes = self._once(chosen) if once else self._always(chosen)
        if self._signal is not None:
            raise typer.Exit(128 + self._signal)
        errors = [outcome.error for outcome in outcomes if outcome.error]
        if errors:
            worst = min(errors, key=lambda error: (error.exit_code != 1, error.exit_code))
            # Each failure is in the log and the summary; the exit code is 1 if any is no mere absence (4).
            raise worst if len(errors) == 1 else _combined(errors, worst)

    def _once(self, chosen: list[Source]) -> list[Outcome]:
        outcomes = []
        for source in chosen:
            if self._stop.is_set():
                break
            outcomes.append(self._poll(source))
        if not self._as_json:
            _print_table(outcomes)
        return outcomes

    def _always(self, chosen: list[Source]) -> list[Outcome]:
        due = {source.name: datetime.now(UTC) for source in chosen}
        while not self._stop.is_set():
            for source in chosen:
                if self._stop.is_set() or datetime.now(UTC) < due[source.name]:
                    continue
                outcome = self._poll(source)
                now = datetime.now(UTC)
                next_slot = source.calendar.next(now)
                due[source.name] = min(next_slot, now + RETRY_AFTER) if outcome.error else next_slot
            wait = min(due.values()) - datetime.now(UTC)
            self._stop.wait(max(0.0, wait.total_seconds()))
        return []

    def _poll(self, source: Source) -> Outcome:
        settings = self._settings
        services = Services(
            settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive, settings.ledger
        )
        with self._console.status(f"{source.name}: asking") as status:

            def show(tally: Tally) -> None:
                status.update(f"{source.name}: {tally.rows:,} rows in {tally.chunks} chunks, {tally.rejects} rejects")

            outcome = poll(
                source,
                services,
                now=lambda: datetime.now(UTC),
                base_url=settings.base_urls.get(source.name),
                span=Span(settings.history_start.get(source.name, source.history_start)),
                is_stopping=self._stop.is_set,
                on_chunk=show if self._console.is_terminal else lambda tally: None,
                chunk_rows=settings.chunk_rows,
            )
        if self._as_json:
            print(json.dumps(_summary(outcome)), flush=True)
        return outcome

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._stop.is_set():
            # The second one means now. An open transaction is aborted by whoever starts next.
            sys.exit(128 + number)
        self._signal = number
        self._stop.set()


def _combined(errors: list[CorrentezaError], worst: CorrentezaError) -> CorrentezaError:
    error = CorrentezaError(f"{len(errors)} sources failed; the first: {errors[0]}", hint=worst.hint)
    error.exit_code = worst.exit_code
    return error


def _summary(outcome: Outcome) -> dict[str, Any]:
    tally = outcome.tally
    return {
        "format": FORMAT,
        "source": outcome.source,
        "slot_id": outcome.slot_id,
        "rows": tally.rows,
        "rejects": tally.rejects,
        "chunks": tally.chunks,
        "parts": tally.parts,
        "unchanged_parts": tally.unchanged_parts,
        "seconds": round(outcome.seconds, 3),
        "problems": tally.problems,
    }


def _print_table(outcomes: list[Outcome]) -> None:
    names = ("source", "rows", "rejects", "chunks", "parts", "unchanged_parts", "seconds")
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), justify="left" if name == "source" else "right")
    for outcome in outcomes:
        summary = _summary(outcome)
        table.add_row(*(str(summary[name]) for name in names))
    Console(width=100).print(table)
