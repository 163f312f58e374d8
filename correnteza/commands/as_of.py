"""`correnteza as-of`: a dataset as it was known at an instant."""

from typing import Annotated

import typer

from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import as_of, instant
from schemas import contracts


def command(
    dataset: Annotated[str, typer.Argument(help="Such as bcb_sgs.")],
    at: Annotated[str, typer.Argument(metavar="INSTANT", help="A date (the end of that UTC day) or a timestamp.")],
    *,
    where: Annotated[str | None, typer.Option(help="SQL predicate on the rows, such as 'series_code = 433'.")] = None,
    measured_only: Annotated[
        bool, typer.Option("--measured-only", help="Leave out assumed publication clocks.")
    ] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Print for each key the newest version that was known at the instant."""
    form = Form.of(json_, csv_, output)
    lake = Lake(Settings().lake_root)  # the settings say where an installation's own contracts are
    known = contracts.datasets()
    if dataset not in known:
        raise UsageError(f"no dataset is named {dataset!r}", hint=f"one of: {', '.join(known)}")
    found = as_of(lake, known[dataset], instant(at), where=where, measured_only=measured_only)
    form.give(found)
