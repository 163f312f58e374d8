"""`correnteza status`: records and seconds behind, per topic and layer, and what the tables take."""

import json
import time
from typing import Annotated

import typer
from deltalake.exceptions import DeltaError

from correnteza.commands.run import places as placed
from correnteza.settings import Settings
from foundation.errors import CorrentezaError
from monitoring.lag.kafka import Cluster
from monitoring.lag.status import Line, Places, Storage, as_json, status
from monitoring.proof.checks.gold_sql import DEFINITIONS
from schemas import contracts
from stream_jobs.running.readers import Readers
from stream_jobs.running.upkeep import plan_of, tables_there

_RIGHT = (2, 3, 5, 6, 7)
"""Columns of numbers."""


def command(
    json_: Annotated[bool, typer.Option("--json", help="One JSON document instead of the table.")] = False,
) -> None:
    """Print one line per table. Reads checkpoints, Delta logs and Kafka, so it is right when Spark is down.

    Files, MiB and log files are what a table takes now; of silver, revisions and current together.
    """
    settings = Settings()
    places = Places(
        lake=settings.lake,
        checkpoints=settings.checkpoints,
        topic_prefix=settings.topic_prefix,
        gold_inputs={definition.table: definition.datasets for definition in DEFINITIONS},
    )
    now = time.time()
    lines = status(places, Cluster(settings.bootstrap), contracts.load_all().values(), now=now)
    storage = _storage(settings)
    if json_:
        print(json.dumps(as_json(lines, storage, at=now), indent=1))
    else:
        print("\n".join([_table(lines, storage), *_reasons(lines), *_savings(storage)]))


def _storage(settings: Settings) -> list[Storage]:
    """What every table takes; one that cannot be read is left out, which `verify` finds."""
    where = placed(settings)
    readers = Readers(where)
    found = []
    for table in tables_there(where):
        try:
            plan = plan_of(where, table, readers)
        except (CorrentezaError, DeltaError, OSError):
            continue
        found.append(
            Storage(
                table=table,
                files=plan.files,
                bytes=plan.bytes,
                log_files=plan.log_files,
                small_files=plan.small_files,
                into=len(plan.groups),
                free_bytes=plan.old_bytes,
                held_back_by=tuple(plan.held_by),
            )
        )
    return found


def _table(lines: list[Line], storage: list[Storage]) -> str:
    rows = [
        (
            f"{line.layer}.{line.table}",
            line.state.replace("_", " "),
            "?" if line.records_behind is None else str(line.records_behind),
            "?" if line.seconds_behind is None else f"{line.seconds_behind:.0f}",
            "-" if line.newest_event_at is None else f"{line.newest_event_at:%Y-%m-%d %H:%M:%S}",
            *_sizes(line, storage),
            line.source,
        )
        for line in lines
    ]
    header = (
        "table",
        "state",
        "records behind",
        "seconds behind",
        "newest event (UTC)",
        "files",
        "MiB",
        "log files",
        "reads",
    )
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


def _sizes(line: Line, storage: list[Storage]) -> tuple[str, str, str]:
    """Files, MiB and log files of a line's table; of a silver table with its revisions."""
    names = (f"{line.layer}.{line.table}", f"{line.layer}.{line.table}_revisions")
    found = [each for each in storage if each.table in names]
    if not found:
        return "-", "-", "-"
    size = sum(each.bytes for each in found) / 1024**2
    return str(sum(each.files for each in found)), f"{size:.1f}", str(sum(each.log_files for each in found))


def _savings(storage: list[Storage]) -> list[str]:
    """What maintenance would save, in a line; none where that is nothing."""
    small, into = sum(each.small_files for each in storage), sum(each.into for each in storage)
    free = sum(each.free_bytes for each in storage)
    if not small and not free:
        return []
    return [
        f"maintenance would make {into} files of {small} small ones and free {free / 1024**2:.1f} MiB:"
        " correnteza maintain --dry-run"
    ]


def _reasons(lines: list[Line]) -> list[str]:
    """Why queries stand still, and what to do."""
    return [
        text
        for line in lines
        if line.reason is not None
        for text in (
            f"{line.layer}.{line.table} {line.state}: {line.reason}",
            f"        try: {line.hint or 'see the log'}",
        )
    ]
