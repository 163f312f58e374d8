"""`correnteza status`: records and seconds behind, per topic and layer."""

import json
import time
from typing import Annotated

import typer

from correnteza.settings import Settings
from monitoring.checks.gold_sql import DEFINITIONS
from monitoring.kafka import Cluster
from monitoring.status import Line, Places, as_json, status
from schemas import contracts


def command(
    json_: Annotated[bool, typer.Option("--json", help="One JSON document instead of the table.")] = False,
) -> None:
    """Print one line per table. Reads checkpoints, Delta logs and Kafka, so it is right when Spark is down."""
    settings = Settings()
    places = Places(
        lake=settings.lake,
        checkpoints=settings.checkpoints,
        topic_prefix=settings.topic_prefix,
        gold_inputs={definition.table: definition.datasets for definition in DEFINITIONS},
    )
    now = time.time()
    lines = status(places, Cluster(settings.bootstrap), contracts.load_all().values(), now=now)
    print(json.dumps(as_json(lines, at=now), indent=1) if json_ else "\n".join([_table(lines), *_reasons(lines)]))


def _table(lines: list[Line]) -> str:
    rows = [
        (
            f"{line.layer}.{line.table}",
            line.state.replace("_", " "),
            "?" if line.records_behind is None else str(line.records_behind),
            "?" if line.seconds_behind is None else f"{line.seconds_behind:.0f}",
            "-" if line.newest_event_at is None else f"{line.newest_event_at:%Y-%m-%d %H:%M:%S}",
            line.source,
        )
        for line in lines
    ]
    header = ("table", "state", "records behind", "seconds behind", "newest event (UTC)", "reads")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )


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
