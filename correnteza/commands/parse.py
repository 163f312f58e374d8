"""`correnteza parse`: run a source's parser on local files."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from producers import sources
from producers.parse_files import Counts, context, lines


def command(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as inmet_hourly or inmet_stations.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON body or zip, as the source publishes it.")],
    *,
    series: Annotated[str | None, typer.Option(help="SGS: the series number, such as 433.")] = None,
    table: Annotated[str | None, typer.Option(help="SIDRA: the table, such as 1737.")] = None,
    currency: Annotated[str | None, typer.Option(help="PTAX: the currency's code, such as EUR.")] = None,
    point: Annotated[str | None, typer.Option(help="Open-Meteo: the municipality's code, such as 2304400.")] = None,
    model: Annotated[str | None, typer.Option(help="Open-Meteo: the model asked for, such as best_match.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row (also the default).")] = False,
) -> None:
    """Print every row as a JSON object with the contract's fields, rejects with "rejected": true; count on stderr.

    Some bodies do not name their series, table, currency or point, because the request's address does. The options name
    it; without an option the file's name is used.
    """
    started = time.monotonic()
    counts = Counts()
    source = sources.of_dataset(dataset)
    options = {"series": series, "table": table, "currency": currency, "point": point, "model": model}
    about = context(dataset, options)
    for file in files:
        for line in lines(source, dataset, file, about, counts):
            sys.stdout.write(line + "\n")
    summary = {"rows": counts.rows, "rejects": counts.rejects, "seconds": round(time.monotonic() - started, 3)}
    sys.stdout.flush()
    print(json.dumps(summary), file=sys.stderr)
