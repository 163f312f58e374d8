"""`correnteza schemas plan`: what registering the contracts would do."""

import typer

from correnteza.settings import Settings
from foundation.errors import UnsafeState
from schemas.contracts import load_all
from schemas.registry import Registry

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _schemas() -> None:
    """The contracts against the schemas that the registry holds."""


@app.command()
def plan() -> None:
    """Show what a poll would register; exit 3 if the registry would refuse a contract. Changes nothing."""
    settings = Settings()
    changes = Registry(settings.registry).plan(load_all().values(), settings.topic_prefix)
    for change in changes:
        print(f"{change.action:7} {change.subject}")
    refused = [change.subject for change in changes if change.action == "refused"]
    if refused:
        raise UnsafeState(
            f"readers of earlier records could not read these contracts: {', '.join(refused)}",
            hint="give a new field a default; for another meaning, declare another topic",
        )
