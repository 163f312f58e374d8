"""`correnteza status`: records and seconds behind, per topic and layer, the size of the tables and what maintenance
would save."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import pyarrow as pa
import typer

from correnteza.printing import aligned, terminal_width
from correnteza.rows import Csv, Form, Json, Output
from correnteza.savings import planner
from correnteza.settings import Settings
from foundation.errors import UsageError
from foundation.redact import redacted, unescaped
from monitoring.lag import reachable
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import Line, Places, Stage, Status, Storage, as_json, status
from monitoring.lag.waiting import ANSWER_WITHIN_SECONDS, CONNECT_WITHIN_SECONDS
from monitoring.lag.words import STATES, duration
from monitoring.proof.checks.gold_sql import DEFINITIONS
from schemas import contracts


def command(
    seconds: Annotated[
        float | None,
        typer.Argument(metavar="[SECONDS]", min=0.1, help="With --watch: seconds between two looks. Default: 2."),
    ] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Print one line per table. Reads checkpoints, Delta logs and Kafka, so it is right when Spark is down.

    Files, MiB and log files are the size of a table now; for silver, revisions and current together. The last line says
    what maintenance would save; `correnteza maintain --dry-run` says it per table, and why it cannot save more. Without
    Kafka the other values are printed, with `?` in place of values from Kafka; stderr says why, and the exit code is 0.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    if not watch:
        if seconds is not None:
            raise UsageError("SECONDS is for --watch", hint=f"correnteza status --watch {seconds:g}")
        _look(settings, form)
        return
    if form.kind != "table":
        raise UsageError("--watch prints a table for people only", hint="without --watch: correnteza status --json")
    with suppress(KeyboardInterrupt):
        while True:
            _look(settings, form, clear=sys.stdout.isatty())
            _wait(WATCH_SECONDS if seconds is None else seconds)


_wait = time.sleep
WATCH_SECONDS = 2.0


def _look(settings: Settings, form: Form, *, clear: bool = False) -> None:
    places = Places(
        lake=settings.lake_root,
        checkpoints=settings.checkpoints,
        topic_prefix=settings.topic_prefix,
        gold_inputs={definition.table: definition.datasets for definition in DEFINITIONS},
    )
    now = time.time()
    found = status(
        places,
        lambda: _connected(settings.bootstrap),
        contracts.load_all().values(),
        now=now,
        saving_of=planner(settings),
    )
    people = "\n".join([_table(found), *_reasons(found.lines), *_canary(found.canary, now), *_saved(found.tables)])
    if clear:
        unescaped(sys.stdout).write("\x1b[H\x1b[2J")
        print(f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC")
    form.give(_rows(found), people=people, document=json.dumps(as_json(found, at=now), indent=1))
    if found.kafka_away is not None:
        print(
            f"warning: what bronze has not read yet cannot be known: {redacted(str(found.kafka_away))}",
            f"  try: {redacted(found.kafka_away.hint or 'correnteza doctor')}",
            sep="\n",
            file=sys.stderr,
        )


def _connected(bootstrap: str) -> Cluster:
    reachable.check(bootstrap, CONNECT_WITHIN_SECONDS)
    return Cluster(bootstrap, rpc_seconds=ANSWER_WITHIN_SECONDS)


def _rows(found: Status) -> pa.Table:
    """The lines with exact values, for machines; sizes as in the table for people, in bytes."""
    rows = []
    for line in found.lines:
        sizes = _of(line, found.tables)
        rows.append(
            {
                "layer": line.layer,
                "table": line.table,
                "source": line.source,
                "state": line.state,
                "records_behind": line.records_behind,
                "seconds_behind": line.seconds_behind,
                "newest_event_at": line.newest_event_at,
                "committed_batch": line.committed_batch,
                "reason": line.reason,
                "hint": line.hint,
                "files": sum(each.files for each in sizes) if sizes else None,
                "bytes": sum(each.bytes for each in sizes) if sizes else None,
                "log_files": sum(each.log_files for each in sizes) if sizes else None,
                "small_files": sum(each.saving.small_files for each in sizes if each.saving) if sizes else None,
                "into": sum(each.saving.into for each in sizes if each.saving) if sizes else None,
                "free_bytes": sum(each.saving.free_bytes for each in sizes if each.saving) if sizes else None,
            }
        )
    return pa.Table.from_pylist(rows)


def _table(found: Status) -> str:
    rows = [
        (
            f"{line.layer}.{line.table}",
            STATES[line.state],
            "?" if line.records_behind is None else f"{line.records_behind:,}",
            "?" if line.seconds_behind is None else duration(line.seconds_behind),
            "-" if line.newest_event_at is None else f"{line.newest_event_at:%Y-%m-%d %H:%M:%S}",
            *_sizes(_of(line, found.tables)),
            _could_go(_of(line, found.tables)),
            line.source,
        )
        for line in found.lines
    ]
    header = (
        "table",
        "state",
        "records behind",
        "behind by",
        "newest event (UTC)",
        "files",
        "MiB",
        "log files",
        "could go",
        "reads",
    )
    return aligned([header, *rows], right=(2, 3, 5, 6, 7, 8), width=terminal_width())


def _of(line: Line, storage: Sequence[Storage]) -> list[Storage]:
    """The size of a line's table; for silver including its revisions."""
    names = (f"{line.layer}.{line.table}", f"{line.layer}.{line.table}_revisions")
    return [each for each in storage if each.table in names]


def _sizes(found: list[Storage]) -> tuple[str, str, str]:
    """Files, MiB and log files."""
    if not found:
        return "-", "-", "-"
    size = sum(each.bytes for each in found) / 1024**2
    return f"{sum(each.files for each in found):,}", f"{size:.1f}", f"{sum(each.log_files for each in found):,}"


def _could_go(found: Sequence[Storage]) -> str:
    """For one line: small files that compaction would merge, and MiB that would be freed."""
    saved = [each.saving for each in found if each.saving is not None]
    files = sum(each.small_files - each.into for each in saved)
    size = sum(each.free_bytes for each in saved) / 1024**2
    parts = [f"{files:,} files"] if files else []
    return ", ".join([*parts, *([f"{size:.1f} MiB"] if size >= 0.05 else [])]) or "-"


def _saved(tables: Sequence[Storage]) -> list[str]:
    """What maintenance would save in all tables, as a line; no line if there is nothing."""
    saved = [each.saving for each in tables if each.saving is not None]
    small, into = sum(each.small_files for each in saved), sum(each.into for each in saved)
    free = sum(each.free_bytes for each in saved)
    if not small and not free:
        return []
    return [
        f"maintenance would make {into} files of {small} small ones and free {free / 1024**2:.1f} MiB:"
        " correnteza maintain --dry-run"
    ]


def _canary(stages: Mapping[str, Stage], now: float) -> list[str]:
    """How old the newest canary is in each layer, and how long it took; nothing if none was ever sent."""
    parts, reasons = [], []
    for stage, each in stages.items():
        if each.newest is not None:
            took = "" if each.newest.seconds is None else f" (took {duration(each.newest.seconds)})"
            parts.append(f"{stage} {duration(max(0.0, now - each.newest.sent_at))}{took}")
        if each.stop_note is not None:
            reasons.append(f"canary in {stage} {STATES[each.stop_note.state]}: {each.stop_note.reason}")
    return [*([f"canary, age of the newest: {', '.join(parts)}"] if parts else []), *reasons]


def _reasons(lines: list[Line]) -> list[str]:
    """Why queries are stopped, and what to do."""
    return [
        text
        for line in lines
        if line.reason is not None
        for text in (
            f"{line.layer}.{line.table} {STATES[line.state]}: {line.reason}",
            f"        try: {line.hint or 'see the log'}",
        )
    ]
