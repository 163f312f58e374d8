"""`correnteza features`: the factors as they were known at past instants."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from correnteza import printing
from correnteza import spark as sessions
from correnteza.commands.run import places
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.reading.as_of import instant
from sinks.frames import fixed
from stream_jobs.gold.vintages import DAYS, training_set

ORDER = ("origin_at", "municipality_code", "date_on")


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
    if output is not None:
        count = _write(rows, instants, output)
        print(f"{count} rows of {len(instants)} origins in {output}")
        return
    table = rows.orderBy(*ORDER).toArrow()
    print(printing.as_json(table) if json_ else printing.as_table(table))


def _write(rows: DataFrame, origins: list[datetime], output: Path) -> int:
    """Write the rows, one origin after the other, so that no more than one is held here; returns how many.

    All are computed in one pass; what memory does not hold of them Spark keeps on disk. The file has its name only when
    it is whole.
    """
    count = 0
    unfinished = output.with_name(output.name + ".unfinished")
    with ExitStack() as stack:
        rows = stack.enter_context(fixed(rows))
        writer: pq.ParquetWriter | None = None
        for origin in sorted(set(origins)):
            table = rows.where(F.col("origin_at") == F.lit(origin)).orderBy(*ORDER).toArrow()
            writer = writer or stack.enter_context(pq.ParquetWriter(unfinished, table.schema))
            writer.write_table(table)
            count += table.num_rows
    unfinished.replace(output)
    return count
