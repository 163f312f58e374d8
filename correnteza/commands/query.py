"""`correnteza query`: SQL over the lake, without Spark."""

from typing import Annotated

import typer

from correnteza import printing
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.quality import views
from monitoring.reading import dead_letters


def command(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over bronze.*, silver.*, gold.* and ops.*.")],
    json_: Annotated[bool, typer.Option("--json", help="A JSON array of objects.")] = False,
    csv_: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
) -> None:
    """Run a query and print its rows."""
    if json_ and csv_:
        raise UsageError("--json and --csv exclude each other")
    lake = Lake(Settings().lake)
    dead_letters.register(lake)
    views.register(lake)
    found = lake.sql(sql)
    print(printing.as_json(found) if json_ else printing.as_csv(found) if csv_ else printing.as_table(found))
