"""`correnteza forecasts`: load forecasts made elsewhere, list them, and measure them by what became known later."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza.arguments import NOTHING_NEW, Exit99
from correnteza.company import require
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import CorrentezaError, UsageError
from monitoring.lake import Lake
from monitoring.reading import forecast_errors
from sinks import forecasts

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=__doc__)

TABLE = "gold.forecasts"


@app.command("load")
def load(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Parquet files, one run each. Default: those in <home>/forecasts."),
    ] = None,
    exit_99: Exit99 = False,
) -> None:
    """Load forecast files into gold.forecasts; an invalid file is refused whole, and the others are loaded.

    A drop is a Parquet file of one run of one model, with the columns dataset_id, model_version, source, generated_at
    (with time zone), series_id, date_on, value, and if you like lower and upper. Loading it again changes nothing.
    """
    settings = Settings()
    path = settings.lake_root / "gold" / "forecasts"
    refused = loaded = 0
    for file in files or sorted((settings.home / "forecasts").glob("*.parquet")):
        try:
            forecast_id, rows = forecasts.load(file, str(path), now=clock.now())
        except CorrentezaError as error:
            refused += 1
            print(f"refused {file}: {error}" + (f"\n  try: {error.hint}" if error.hint else ""), file=sys.stderr)
            continue
        loaded += rows > 0
        print(f"{file}: {f'{rows} rows' if rows else 'already loaded'}, forecast {forecast_id}")
    if refused:
        raise typer.Exit(1)
    if exit_99 and not loaded:
        raise typer.Exit(NOTHING_NEW)


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


@app.command("track")
def track(json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Give every loaded forecast file a run in MLflow, once, and print them.

    A run names the dataset, the model's version, the version of gold.forecasts and the hash of the file's bytes.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    lake = Lake(settings.lake_root)
    if not lake.has(TABLE):
        raise UsageError("no forecasts yet", hint="correnteza forecasts load FILE")
    require("mlflow-skinny")
    from correnteza import tracking

    path = str(settings.lake_root / "gold" / "forecasts")
    found = tracking.track(lake, path, settings.tracking, places(settings).locks)
    form.give(pa.Table.from_pylist([asdict(each) for each in found]))


@app.command("report")
def report(
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
    plot: Annotated[Path | None, typer.Option(help="A new .png or .svg file: percent error by horizon.")] = None,
) -> None:
    """Print the errors of loaded forecasts against what became known later, by series, vintage and days ahead.

    A forecast is measured if its series_id is the name of a series or factor with one value per day, as `correnteza
    plot` names them: sgs:432, factor:2927408:rain_mm. error = forecast - value: a positive bias is too high.
    """
    from correnteza import plotting  # imported here: no other sub-command draws, and it takes time

    form = Form.of(json_, csv_, output)
    if plot and (plot.suffix not in plotting.SUFFIXES or plot.exists()):
        raise UsageError(f"{plot} is not a new .png or .svg file", hint="name another file")
    found = forecast_errors.report(Lake(Settings().lake_root))
    form.give(found.errors)
    if found.waiting:
        print(f"{found.waiting} forecasts wait: nothing is known of their days yet", file=sys.stderr)
    for name, reason in found.unmeasured.items():
        print(f"not measured: {name}: {reason}", file=sys.stderr)
    if plot:
        plotting.write(plotting.draw_errors(found.by_day), plot)
        print(plot, file=sys.stderr)
