"""`correnteza features`: the factors as they were known at past instants."""

from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from correnteza import printing
from correnteza import spark as sessions
from correnteza.commands.run import places
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.as_of import instant
from stream_jobs.vintages import DAYS, training_set


def command(
    origins: Annotated[
        list[str], typer.Argument(metavar="ORIGIN...", help="Dates (the end of that UTC day) or timestamps.")
    ],
    days: Annotated[int, typer.Option(min=1, help="Civil days up to each origin.")] = DAYS,
    *,
    capital: Annotated[list[str] | None, typer.Option(help="IBGE code of a capital; again for more.")] = None,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Leave out assumed publication clocks.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="A Parquet file to write, instead of printing.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="A JSON array of objects.")] = False,
) -> None:
    """Compute the external factors that each origin could have known: a training set without the future.

    Every row has origin_at, and known_from is never after it. Example:

        correnteza features 2025-10-31 2025-11-30 --days 90 --output train.parquet
    """
    instants = [instant(text) for text in origins]
    if output is not None and output.exists():
        raise UsageError(f"{output} exists", hint="name another file, or remove it first")
    settings = Settings()
    if not (settings.lake / "silver").exists():
        raise UsageError("there is no silver to look back at", hint="correnteza run all --once")
    spark = sessions.start(settings, short_lived=True)
    rows = training_set(
        spark, places(settings), instants, days=days, municipality_codes=capital, measured_only=measured_only
    )
    table = rows.orderBy("origin_at", "municipality_code", "date_on").toArrow()
    if output is not None:
        pq.write_table(table, output)
        print(f"{table.num_rows} rows of {len(instants)} origins in {output}")
    else:
        print(printing.as_json(table) if json_ else printing.as_table(table))
