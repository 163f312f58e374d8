"""`correnteza parse`: run a source's parser on local files."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from producers import sources
from producers.parse_files import Counts, parse_file


def command(
    source: Annotated[str, typer.Argument(help="A dataset, such as inmet_hourly or inmet_stations.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON body or zip, as the source publishes it.")],
    series: Annotated[str | None, typer.Option(help="SGS: the series number, which the body does not hold.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row (also the default).")] = False,
) -> None:
    """Print every row as a JSON object with the contract's fields, rejects with "rejected": true; count on stderr."""
    started = time.monotonic()
    counts = Counts()
    declared = sources.of_dataset(source)
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for file in files:
        for row in parse_file(declared, source, file, series, counts):
            sys.stdout.write(dump(row) + "\n")
    summary = {"rows": counts.rows, "rejects": counts.rejects, "seconds": round(time.monotonic() - started, 3)}
    sys.stdout.flush()
    print(json.dumps(summary), file=sys.stderr)
