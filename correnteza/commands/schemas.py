"""`correnteza schemas`: what registering the contracts would do, doing it, and whether they may be published."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UnsafeState, UsageError
from schemas.compatibility import check_all
from schemas.contracts import load_all, ours
from schemas.registry import Registry, prove_compatibility

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _schemas() -> None:
    """Compare the contracts with the schemas of the registry, and with every published version."""


@app.command()
def plan(json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Show what a poll would register; exit 3 if the registry would refuse a contract. Changes nothing."""
    form = Form.of(json_, csv_, output)
    settings = Settings()
    changes = Registry(settings.registry).plan(load_all().values(), settings.topic_prefix)
    form.give(pa.table({column: [getattr(change, column) for change in changes] for column in ("action", "subject")}))
    refused = [change.subject for change in changes if change.action == "refused"]
    if refused:
        raise UnsafeState(
            f"readers of earlier records could not read these contracts: {', '.join(refused)}",
            hint="give a new field a default; if its meaning changed, declare another topic",
        )


@app.command()
def register() -> None:
    """Register what `plan` shows, and set the compatibility level of each of these subjects.

    Polls do the same, unless register_schemas is false: then somebody who may write to the registry runs this first.
    """
    settings = Settings()
    url = settings.registry
    prove_compatibility(url)
    for name, schema_id in Registry(url).register(load_all().values(), settings.topic_prefix).items():
        print(f"{schema_id:6} {name}")


@app.command()
def check(
    published: Annotated[Path, typer.Option(help="Folder of the published versions.")] = Path("tests/golden/contracts"),
) -> None:
    """Check that each contract reads every version ever published; exit 3 if not. Needs no service; changes nothing."""
    if not published.is_dir():
        raise UsageError(f"there is no folder {published}", hint="run it in the repository, or use --published FOLDER")
    shipped = {each.name: each for each in ours(load_all().values()) if each.legacy is None}
    found = check_all(shipped, published)
    for name, reasons in found.items():
        print(f"{'refused' if reasons else 'ok':7} {name}")
        for reason in reasons:
            print(f"        {reason}")
    refused = [name for name, reasons in found.items() if reasons]
    if refused:
        raise UnsafeState(
            f"these contracts may not be published: {', '.join(refused)}",
            hint="give a new field a default; if its meaning changed, add a field or declare another topic",
        )
