"""`correnteza marts`: tables in SQL over silver and gold, made by dbt."""

from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import typer

from correnteza import spark as sessions
from correnteza.arguments import NOTHING_NEW, Exit99
from correnteza.company import local_lake, require
from correnteza.marts import build as marts
from correnteza.marts.models import PROJECT
from correnteza.marts.sources import present
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=__doc__)


@app.command("build")
def build(json_: Json = False, csv_: Csv = False, output: Output = None, exit_99: Exit99 = False) -> None:
    """Make the marts that follow from changed tables, and test both; print the rows that changed.

    Before it, Great Expectations judges the rows of the sources that came since the last time.

    Exit code 3 if a row breaks a critical expectation, or a model or a test failed: the marts are as they were.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    where = _marts(settings)
    if not marts.changed_sources(where):
        form.give(pa.table({}), people="nothing changed since the last build")
        raise typer.Exit(NOTHING_NEW if exit_99 else 0)
    require("dbt-core")
    from correnteza.suites import run

    spark = sessions.start(settings, short_lived=True)
    try:
        judged = run.run(spark, str(where.lake), present(where.lake), settings.results_of_suites)
        run.require_sound(judged)
        done = marts.build(spark, where)
    finally:
        spark.stop()
    form.give(pa.Table.from_pylist([asdict(each) for each in done]))


@app.command("docs")
def docs() -> None:
    """Write the documentation and the lineage of the marts as one HTML file, and print its path."""
    where = _marts(Settings())
    require("dbt-core")
    print(marts.docs(where))


def _marts(settings: Settings) -> marts.Marts:
    if not PROJECT.is_dir():
        raise UsageError(f"{PROJECT} is not there: marts are built from a checkout", hint="git clone, make company")
    home = Path(settings.home).resolve() / "marts"
    return marts.Marts(local_lake(settings), home, PROJECT, places(settings).locks)
