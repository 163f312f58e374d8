"""`correnteza poll`: poll sources once and publish what is new, or fetch history."""

import json
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from correnteza import backfill, polling
from correnteza.arguments import NOTHING_NEW
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import CorrentezaError, DependencyUnavailable, FencedError, UsageError
from foundation.redact import redacted, unescaped
from producers import sources
from producers.model import Source, Span
from producers.poll import Outcome
from producers.schedule import attempt
from producers.schedule.outcomes import Record, Result
from producers.schedule.requests import AHEAD
from producers.session import Tally
from schemas.registry import prove_compatibility

FORMAT = 1
"""Version of the `--json` output."""

_DAY = ["%Y-%m-%d"]
_INSTANT = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]
_SLOT = "correnteza poll SOURCE --slot 2025-11-10T00:23:00+00:00"


def command(
    source: Annotated[str | None, typer.Argument(help="The source to poll; see --all.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Poll every source.")] = False,
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="Fetch history, from this day on.")] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=_DAY, help="With --since: the last day. Unset: the day before the schedule's first."),
    ] = None,
    reparse: Annotated[
        bool,
        typer.Option("--reparse", help="Poll nothing: read again, from the archive, parts that had rejected rows."),
    ] = False,
    slot: Annotated[
        datetime | None,
        typer.Option(formats=_INSTANT, help="Poll for the slot of the source's calendar at or before this instant."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Poll once and end; this is the default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per poll on stdout.")] = False,
) -> None:
    """Poll sources and publish what is new, one transaction per chunk; nothing is published twice.

    With --since it fetches history: the days before those of the schedule. The schedule can run at the same time; no
    row is doubled. If it is stopped (SIGTERM, Ctrl-C) or killed, the next run continues there. Every poll fetches the
    days of the schedule (from the setting history_start on): if --since names only such days, this is an ordinary poll.

    With --reparse today's parser reads again, from the archive, the parts that had rejected rows (with --since only
    those fetched since then). Rows that it can read now are published with the clocks of their first publication.

    With --slot another scheduler polls, such as Airflow: exit 99 if nothing was new, or if the slot or a newer one was
    polled before, by whomever; 75 if another process polls the source meanwhile; 4 if its circuit is open.
    """
    if every == (source is not None):
        raise UsageError("name one source, or use --all", hint="correnteza poll --all")
    if until is not None and since is None:
        raise UsageError("--until needs --since", hint="correnteza poll SOURCE --since 2015-01-01 --until 2019-12-31")
    if reparse and until is not None:
        raise UsageError("--reparse takes no --until", hint="correnteza poll SOURCE --reparse --since 2025-01-01")
    if since is not None and source is None:
        raise UsageError("--since needs one source", hint="correnteza poll SOURCE --since 2015-01-01")
    if slot is not None and (source is None or since is not None or reparse):
        raise UsageError("--slot needs one source, and goes with neither --since nor --reparse", hint=_SLOT)
    poller = _Poller(Settings(), as_json=as_json)
    chosen = list(sources.load_all().values()) if source is None else [sources.load(source)]
    if slot is not None:
        poller.for_slot(chosen[0], chosen[0].calendar.latest(slot))
    elif reparse:
        poller.run(chosen, lambda source: polling.reparse(poller.settings, source, since=since))
    elif since is None:
        poller.run(chosen, poller.live)
    else:
        live = polling.live_span(poller.settings, chosen[0])
        span = backfill.days(chosen[0], live, since.date(), until.date() if until else None)
        if until is None or until.date() >= live.first:
            print(f"the days from {live.first} on are the live schedule's; every poll asks for them", file=sys.stderr)
        poller.run(chosen, poller.live if span is None else lambda source: poller.backfill(source, span))


class _Poller:
    def __init__(self, settings: Settings, *, as_json: bool) -> None:
        self.settings = settings
        self._as_json = as_json
        self._stop = threading.Event()
        self._signal: int | None = None
        self._console = Console(file=unescaped(sys.stderr))

    def run(self, chosen: list[Source], do: Callable[[Source], Outcome]) -> None:
        self._listen()
        outcomes: list[Outcome] = []
        errors: list[CorrentezaError] = []
        for source in chosen:
            if self._stop.is_set():
                break
            try:
                outcomes.append(do(source))
            except FencedError as error:
                errors.append(error)  # another process polls this one; the others are still ours
                continue
            if self._as_json:
                print(redacted(json.dumps(_summary(outcomes[-1]))), flush=True)
        if not self._as_json:
            _print_table(outcomes)
        if self._signal is not None:
            raise typer.Exit(128 + self._signal)
        errors += [outcome.error for outcome in outcomes if outcome.error]
        if errors:
            worst = min(errors, key=lambda error: (error.exit_code != 1, error.exit_code))
            # Each failure is in the log and the summary; the exit code is 1 if any is no mere absence (4).
            raise worst if len(errors) == 1 else _combined(errors, worst)

    def live(self, source: Source) -> Outcome:
        """One poll as the schedule would make it, whatever the source's circuit says: an operator asked."""
        with self._console.status(f"{source.name}: asking") as status:

            def show(tally: Tally) -> None:
                status.update(f"{source.name}: {tally.rows:,} rows in {tally.chunks} chunks, {tally.rejects} rejects")

            on_chunk = show if self._console.is_terminal else lambda tally: None
            return attempt.recorded(
                source, polling.services(self.settings), lambda: self._poll(source, on_chunk=on_chunk)
            )

    def for_slot(self, source: Source, slot: datetime) -> None:
        """One slot, as a worker of the schedule would poll it; the exit code says how it ended."""
        if slot > clock.now() + AHEAD:
            raise UsageError(f"{slot:%Y-%m-%d %H:%M} UTC is far ahead", hint="compare the clocks of both schedulers")
        self._listen()
        outcomes: list[Outcome] = []

        def poll(now: Callable[[], datetime]) -> Outcome:
            outcomes.append(self._poll(source, on_chunk=lambda tally: None, now=now))
            return outcomes[-1]

        with polling.turns(self.settings).of_command(source.name):
            record = attempt.for_slot(source, polling.services(self.settings), slot, poll)
        if self._as_json and outcomes:
            print(redacted(json.dumps(_summary(outcomes[0]))))
        elif outcomes:
            _print_table(outcomes)
        if self._signal is not None:
            raise typer.Exit(128 + self._signal)
        if record is None or record.outcome is Result.NO_NEWS:
            raise typer.Exit(NOTHING_NEW)
        if record.outcome is not Result.PUBLISHED:
            raise _why(record, outcomes)

    def backfill(self, source: Source, span: Span) -> Outcome:
        """History. It has no slot, so it is no outcome of the schedule's."""
        with backfill.shown(source, self._console) as show:
            return self._poll(source, on_chunk=show, span=span)

    def _poll(
        self,
        source: Source,
        *,
        on_chunk: Callable[[Tally], None],
        span: Span | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> Outcome:
        return polling.poll_source(
            self.settings, source, now=now, is_stopping=self._stop.is_set, on_chunk=on_chunk, span=span
        )

    def _listen(self) -> None:
        """Before the first poll: a signal ends it at a chunk, and no incompatible schema is registered."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        prove_compatibility(self.settings.registry)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._stop.is_set():
            # The second one means now. An open transaction is aborted by whoever starts next.
            sys.exit(128 + number)
        self._signal = number
        self._stop.set()


def _why(record: Record, outcomes: list[Outcome]) -> CorrentezaError:
    """Why a slot's poll did not end well."""
    if record.outcome is Result.FENCED:
        return FencedError(record.error or "another process polls this source")
    if record.outcome is Result.CIRCUIT_OPEN:
        return DependencyUnavailable(
            f"{record.source} is not polled until {record.circuit_open_until:%Y-%m-%d %H:%M} UTC"
        )
    if outcomes and outcomes[0].error:
        return outcomes[0].error
    return DependencyUnavailable(record.error or f"the poll of {record.slot_id} did not end")


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
        "withdrawn": tally.withdrawn,
        "held": tally.held,
        "chunks": tally.chunks,
        "parts": tally.parts,
        "unchanged_parts": tally.unchanged_parts,
        "seconds": round(outcome.seconds, 3),
        "unread_members": tally.unread_members,
        "failed": tally.failed,
        "problems": tally.problems,
    }


def _print_table(outcomes: list[Outcome]) -> None:
    names = ("source", "rows", "rejects", "withdrawn", "held", "chunks", "parts", "unchanged_parts", "seconds")
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), justify="left" if name == "source" else "right")
    for outcome in outcomes:
        summary = _summary(outcome)
        table.add_row(*(str(summary[name]) for name in names))
    Console(file=unescaped(sys.stdout), width=100).print(table)
