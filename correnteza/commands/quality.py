"""`correnteza quality`: what the sources sent, judged."""

import json
from typing import Annotated

import typer

from correnteza import printing
from correnteza.settings import Settings
from foundation.errors import UnsafeState
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


def command(json_: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Print scores per dataset, anomalies, reconciliation between sources, and publication lags.

    Exit code 3 when a dataset's score does not meet the bar. The views behind it are open to `correnteza query`:
    ops.quality_scores, ops.anomalies, ops.reconciliation, ops.publication_lags, and the counts in ops.expectations.
    """
    lake = Lake(Settings().lake)
    views.register(lake)
    found = {name: lake.sql(query) for name, query in SECTIONS.items()}
    if json_:
        parts = (f"{json.dumps(name)}: {printing.as_json(table)}" for name, table in found.items())
        print("{" + ",\n".join(parts) + "}")
    else:
        print("\n\n".join(f"{name}\n{printing.as_table(table)}" for name, table in found.items()))
    below = lake.rows("SELECT dataset FROM ops.quality_scores WHERE NOT meets_bar")
    if below:
        names = ", ".join(str(row["dataset"]) for row in below)
        raise UnsafeState(
            f"not above {BAR_PERCENT:g} %: {names}",
            hint='correnteza query "select * from ops.expectations where broken > 0 order by evaluated_at desc"',
        )
