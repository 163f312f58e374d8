"""`correnteza query`: SQL over the lake, without Spark."""

from typing import Annotated

import typer

from correnteza.migrating import visible_mappings
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from migration import views as legacy
from monitoring.lake import Lake
from monitoring.quality import views
from monitoring.reading import dead_letters


def command(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL over bronze.*, silver.*, gold.*, ops.* and legacy.*.")],
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Run a query and print its rows.

    The query can use only the tables above: it reads and writes no file, loads no extension and attaches
    nothing. `--output` writes a file.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    lake = Lake(settings.lake_root)
    dead_letters.register(lake)
    views.register(lake)
    legacy.register(lake, visible_mappings(settings))
    lake.lock_down()
    form.give(lake.sql(sql))
