"""`correnteza revisions`: every published version of one key."""

from typing import Annotated

import typer

from correnteza.arguments import key_of
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import revisions
from schemas import contracts


def command(
    dataset: Annotated[str, typer.Argument(help="Such as bcb_sgs.")],
    key: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="Every key column; empty for null.")],
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Print the published versions of one key, oldest first, and what each changed.

    Example: correnteza revisions bcb_sgs series_code=433 reference_on=2025-10-01
    """
    form = Form.of(json_, csv_, output)
    lake = Lake(Settings().lake_root)  # the settings say where an installation's own contracts are
    known = contracts.datasets()
    if dataset not in known:
        raise UsageError(f"no dataset is named {dataset!r}", hint=f"one of: {', '.join(known)}")
    found = revisions(lake, known[dataset], key_of(key, "series_code=433"))
    form.give(found)
