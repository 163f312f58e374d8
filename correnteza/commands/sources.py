"""`correnteza sources [check]`: what is polled, when, and the outcome; whether a source answers as expected."""

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import pyarrow as pa
import typer

from correnteza import source_checking
from correnteza.printing import aligned, terminal_width
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import DependencyUnavailable, UsageError
from monitoring.lag.words import duration
from producers import sources
from producers.fetch.http import Client
from producers.model import Source
from producers.schedule import circuit
from producers.schedule.outcomes import Outcomes, Record

PAGE = "docs/sources.md"
"""The page about each source's data, quirks, clocks and scope; in the repository, not in an installed package."""

FORMAT = 1
"""Version of the `--json` output."""


app = typer.Typer(add_completion=False, invoke_without_command=True, rich_markup_mode=None)


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="The source to ask.")],
    *,
    resource: Annotated[
        list[str] | None,
        typer.Option(help="A series, table, currency, point or year; repeatable. Unset: the first with data."),
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="Every resource of the source, one request each.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Ask the source once, and say whether it answers what the parser expects. Publishes nothing, needs no broker.

    Structure, units, encoding and dates are checked by parsing the answer as a poll would; printed are the rows that it
    would have published and rejected. Of a zip the smallest member that a poll wants is read. Ends with 1 if the answer
    is refused, with 4 if the source is away.
    """
    if resource and every:
        raise UsageError("--resource and --every exclude each other")
    form = Form.of(json_, csv_, output)
    settings, chosen = Settings(), sources.load(source)
    if chosen.kind == "file":
        raise UsageError(f"{source} is a file that was migrated: it is not polled", hint="correnteza migrate verify")
    key = settings.api_keys.get(source)
    with Client.for_source(chosen, settings.base_urls.get(source), key.get_secret_value() if key else None) as client:
        findings = source_checking.asked(chosen, client, resource or [], every=every)
    source_checking.give(form, chosen, findings)
    if error := source_checking.worst(findings):
        raise error


@app.callback()
def command(ctx: typer.Context, json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Print each source: calendar, next slot, last outcome, rows, freshness, circuit, terms of use.

    Works without a broker: then only declared values are known, and the rest is `unknown`. Times are UTC. The circuit
    is open while a source is not polled, because three polls in a row failed. Freshness is the time since a poll last
    succeeded, and since one last brought rows.
    """
    if ctx.invoked_subcommand:
        return
    form = Form.of(json_, csv_, output)
    settings = Settings()
    newest, missing = _newest(settings)
    now = clock.now()  # after the records, so that none of them is later
    lines = [
        _line(source, newest, now, has_key=name in settings.api_keys)
        for name, source in sorted(sources.load_all().items())
    ]
    document = {"format": FORMAT, "at": now.isoformat(), "sources": [_plain(line) for line in lines]}
    form.give(
        pa.Table.from_pylist([_row(line) for line in lines]),
        people=f"{_state_table(lines, now)}\n\n{_declared_table(lines)}"
        f"\n\nwhat each sends, its quirks, clocks and scope: {PAGE}",
        document=json.dumps(document, indent=1),
    )
    if missing is not None:
        print(f"state unknown: {missing}", file=sys.stderr)
        if missing.hint:
            print(f"  try: {missing.hint}", file=sys.stderr)


@dataclass(frozen=True)
class _Line:
    """One source. `state`: `never` polled, `unknown`, or `known` from its record."""

    source: Source
    next_slot: datetime
    state: str
    record: Record | None
    circuit: circuit.State | None
    terms: str


def _newest(settings: Settings) -> tuple[dict[str, Record] | None, DependencyUnavailable | None]:
    try:
        return Outcomes(settings.bootstrap, settings.topic_prefix).newest(), None
    except DependencyUnavailable as error:
        return None, error


def _line(source: Source, newest: dict[str, Record] | None, now: datetime, *, has_key: bool) -> _Line:
    record = (newest or {}).get(source.name)
    if newest is None:
        state, breaker = "unknown", None
    else:
        state = "known" if record else "never"
        breaker = circuit.state(record.circuit_open_until if record else None, now)
    terms = f"{source.terms}; asked with your key" if has_key else source.terms
    return _Line(source, source.calendar.next(now), state, record, breaker, terms)


def _state_table(lines: list[_Line], now: datetime) -> str:
    rows = []
    for line in lines:
        record = line.record
        rows.append(
            (
                line.source.name,
                record.outcome.value.replace("_", " ") if record else line.state,
                _instant(record.ended_at) if record else "-",
                _age(record.last_success_at, now) if record else "-",
                _age(record.last_news_at, now) if record else "-",
                "-" if record is None or record.last_news_rows is None else f"{record.last_news_rows:,}",
                _circuit(line),
                _instant(line.next_slot),
            )
        )
    header = (
        "source",
        "last outcome",
        "at (UTC)",
        "success ago",
        "news ago",
        "rows of it",
        "circuit",
        "next slot (UTC)",
    )
    return aligned([header, *rows], (3, 4, 5), terminal_width())


def _declared_table(lines: list[_Line]) -> str:
    rows = []
    for line in lines:
        first, *others = line.source.calendar.crons
        rows.append((line.source.name, first, line.source.calendar.zone, line.terms))
        rows += [("", cron, "", "") for cron in others]
    header = ("source", "due (minute hour day month weekday)", "zone", "terms of use")
    return aligned([header, *rows], (), terminal_width())


def _circuit(line: _Line) -> str:
    if line.circuit is circuit.State.OPEN and line.record and line.record.circuit_open_until:
        return f"open until {_instant(line.record.circuit_open_until)}"
    return line.circuit.value if line.circuit else "unknown"


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _age(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else duration(max((now - moment).total_seconds(), 0.0))


def _plain(line: _Line) -> dict[str, Any]:
    """One source for `--json`; `last` is the newest record of poll.outcomes."""
    return {
        "source": line.source.name,
        "datasets": list(line.source.datasets),
        "calendar": {"crons": list(line.source.calendar.crons), "zone": line.source.calendar.zone},
        "next_slot": line.next_slot.isoformat(),
        "state": line.state,
        "circuit": line.circuit and line.circuit.value,
        "terms": line.terms,
        "last": json.loads(line.record.to_json()) if line.record else None,
    }


def _row(line: _Line) -> dict[str, Any]:
    """One source as a row, for CSV and Parquet."""
    record = line.record
    return {
        "source": line.source.name,
        "state": line.state,
        "last_outcome": record and record.outcome.value,
        "ended_at": record and record.ended_at,
        "last_success_at": record and record.last_success_at,
        "last_news_at": record and record.last_news_at,
        "last_news_rows": record and record.last_news_rows,
        "circuit": line.circuit and line.circuit.value,
        "next_slot": line.next_slot,
        "crons": "; ".join(line.source.calendar.crons),
        "zone": line.source.calendar.zone,
        "terms": line.terms,
    }
