"""`correnteza forecasts`: load forecasts made elsewhere, and list them."""

import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import CorrentezaError
from monitoring.lake import Lake
from sinks import forecasts

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=__doc__)

TABLE = "gold.forecasts"


@app.command("load")
def load(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Parquet files, one run each.")]) -> None:
    """Load forecast files into gold.forecasts; an invalid file is refused whole, and the others are loaded.

    A drop is a Parquet file of one run of one model, with the columns dataset_id, model_version, source, generated_at
    (with time zone), series_id, date_on, value, and if you like lower and upper. Loading it again changes nothing.
    """
    path = Settings().lake_root / "gold" / "forecasts"
    refused = 0
    for file in files:
        try:
            forecast_id, rows = forecasts.load(file, str(path), now=clock.now())
        except CorrentezaError as error:
            refused += 1
            print(f"refused {file}: {error}" + (f"\n  try: {error.hint}" if error.hint else ""), file=sys.stderr)
            continue
        print(f"{file}: {f'{rows} rows' if rows else 'already loaded'}, forecast {forecast_id}")
    if refused:
        raise typer.Exit(1)


@app.command("list")
def list_(json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Print the forecast files that were loaded."""
    form = Form.of(json_, csv_, output)
    lake = Lake(Settings().lake_root)
    if not lake.has(TABLE):
        form.give(pa.table({}), people="no forecasts yet: correnteza forecasts load FILE")
        return
    found = lake.sql(
        f"SELECT dataset_id, model_version, source, generated_at, count(*) AS rows, min(date_on) AS first_on,"
        f" max(date_on) AS last_on, loaded_at, forecast_id FROM {TABLE} GROUP BY ALL ORDER BY loaded_at"
    )
    form.give(found)
