"""`correnteza quality`: the quality of the data that the sources sent, and suites of Great Expectations for it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza import printing
from correnteza.company import local_lake, require
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from correnteza.suites.export import suites
from foundation.errors import UnsafeState, UsageError
from foundation.files import replace_file
from monitoring.lag.words import duration
from monitoring.lake import Lake
from monitoring.quality import views
from monitoring.quality.scores import BAR_PERCENT

SHOWN = 20

SECTIONS = {
    "scores": "SELECT * FROM ops.quality_scores",
    "anomalies": f"SELECT * FROM ops.anomalies ORDER BY seen_at DESC LIMIT {SHOWN}",
    "reconciliation": (
        "SELECT name, count(*) AS compared, count(*) FILTER (agrees) AS agreeing,"
        " max(abs(ours - theirs)) AS greatest_difference, arg_max(period, abs(ours - theirs)) AS its_period"
        " FROM ops.reconciliation GROUP BY name ORDER BY name"
    ),
    "publication lags": "SELECT * FROM ops.publication_lags",
}


app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def scores(context: typer.Context, json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Print scores per dataset, anomalies, reconciliation between sources, and publication lags.

    Exit code 3 if a dataset's score does not meet the threshold. `correnteza query` can read the views:
    ops.quality_scores, ops.anomalies, ops.reconciliation, ops.publication_lags, and the counts in ops.expectations.
    """
    if context.invoked_subcommand:
        return
    form = Form.of(json_, csv_, output)
    if form.kind not in ("table", "json"):
        raise UsageError(
            "`quality` prints four tables; --csv and --output write one",
            hint='one of them: correnteza query "FROM ops.quality_scores" --csv',
        )
    lake = Lake(Settings().lake_root)
    views.register(lake)
    found = {name: lake.sql(query) for name, query in SECTIONS.items()}
    parts = (f"{json.dumps(name)}: {printing.as_json(table)}" for name, table in found.items())
    width = printing.terminal_width()
    people = (f"{name}\n{printing.as_table(_in_words(table), width)}" for name, table in found.items())
    form.give(found["scores"], people="\n\n".join(people), document="{" + ",\n".join(parts) + "}")
    below = lake.rows("SELECT dataset FROM ops.quality_scores WHERE NOT meets_bar")
    if below:
        names = ", ".join(str(row["dataset"]) for row in below)
        raise UnsafeState(
            f"not above {BAR_PERCENT:g} %: {names}",
            hint='correnteza query "select * from ops.expectations where broken > 0 order by evaluated_at desc"',
        )


@app.command("export-gx")
def export_gx(
    folder: Annotated[Path, typer.Argument(help="Where to write one JSON file per table; it is made.")],
) -> None:
    """Write the declared expectations as suites of Great Expectations."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, suite in suites().items():
        replace_file(folder / f"{name}.json", json.dumps(suite, ensure_ascii=False, indent=2) + "\n")
    print(f"{len(suites())} suites in {folder}")


@app.command("run-gx")
def run_gx(
    tables: Annotated[list[str] | None, typer.Argument(metavar="TABLE...", help="Such as silver.bcb_sgs; all.")] = None,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Run the suites on the rows that came since a table was judged last; print the newest counts of each.

    They are kept in the database that `quality_database` names. Exit code 3 if a row breaks a critical expectation.
    """
    form = Form.of(json_, csv_, output)
    if unknown := sorted({*(tables or ())} - suites().keys()):
        raise UsageError(f"no suite is declared for {', '.join(unknown)}", hint="silver.<dataset> or gold.<table>")
    require("great-expectations")
    from correnteza import spark as sessions
    from correnteza.suites import run

    settings = Settings()
    spark = sessions.start(settings, short_lived=True)
    try:
        found = run.run(spark, str(local_lake(settings)), tables or suites(), settings.results_of_suites)
    finally:
        spark.stop()
    form.give(pa.Table.from_pylist([asdict(each) for each in found]))
    run.require_sound(found)


def _in_words(table: pa.Table) -> pa.Table:
    """The table for people: columns of days become durations, such as `15 min`."""
    for place, name in enumerate(table.column_names):
        if name.endswith("_days"):
            days = table.column(place).to_pylist()
            texts = [None if each is None else duration(each * 86_400) for each in days]
            table = table.set_column(place, name.removesuffix("_days") + "_lag", pa.array(texts, pa.string()))
    return table
