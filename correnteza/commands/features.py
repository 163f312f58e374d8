"""`correnteza features`: the factors as they were known at past instants."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from correnteza import spark as sessions
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.reading.as_of import instant
from sinks.frames import materialized
from storage import files
from stream_jobs.gold.vintages import DAYS, training_set

ORDER = ("origin_at", "municipality_code", "date_on")


def command(
    origins: Annotated[
        list[str], typer.Argument(metavar="ORIGIN...", help="Dates (the end of that UTC day) or timestamps.")
    ],
    days: Annotated[int, typer.Option(min=1, help="Civil days up to each origin.")] = DAYS,
    *,
    capital: Annotated[list[str] | None, typer.Option(help="IBGE code of a capital; repeat it for more.")] = None,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Leave out assumed publication clocks.")
    ] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Compute the external factors as each origin could have known them: a training set without data of the future.

    Every row has origin_at, and known_from is never after it. Example:

        correnteza features 2025-10-31 2025-11-30 --days 90 --output train.parquet
    """
    instants = [instant(text) for text in origins]
    form = Form.of(json_, csv_, output)
    settings = Settings()
    if not files.is_folder(settings.lake_root / "silver"):
        raise UsageError("there are no silver tables to read", hint="correnteza run all --once")
    spark = sessions.start(settings, short_lived=True)
    rows = training_set(
        spark, places(settings), instants, days=days, municipality_codes=capital, measured_only=measured_only
    )
    if form.kind == "parquet" and output is not None:
        count = _write(rows, instants, output)
        print(f"{count} rows of {len(instants)} origins in {output}")
        return
    form.give(rows.orderBy(*ORDER).toArrow())


def _write(rows: DataFrame, origins: list[datetime], output: Path) -> int:
    """Write the rows, one origin after the other, so that this process holds only one; returns how many.

    All are computed in one pass; Spark uses the disk if memory is not enough. The file gets its name only when it is
    complete.
    """
    count = 0
    unfinished = output.with_name(output.name + ".unfinished")
    with ExitStack() as stack:
        rows = stack.enter_context(materialized(rows))
        writer: pq.ParquetWriter | None = None
        for origin in sorted(set(origins)):
            table = rows.where(F.col("origin_at") == F.lit(origin)).orderBy(*ORDER).toArrow()
            writer = writer or stack.enter_context(pq.ParquetWriter(unfinished, table.schema))
            writer.write_table(table)
            count += table.num_rows
    unfinished.replace(output)
    return count
