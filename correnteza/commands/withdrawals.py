"""`correnteza withdrawals list|accept|discard`: publications that shrank too much."""

from typing import Annotated

import pyarrow as pa
import typer

from correnteza import audit, polling
from correnteza.arguments import confirm
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation import clock
from foundation.errors import UsageError
from producers import decisions
from producers.decisions import Held

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

Entry = Annotated[str, typer.Argument(metavar="ENTRY", help="<source>/<resource>/<part>, as `list` prints it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_(json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Print what waits for a decision, oldest first: the edition, its clock, and how many keys it no longer holds.

    The keys stay until somebody accepts. If a later edition holds them again, no decision is needed.
    """
    form = Form.of(json_, csv_, output)
    found = decisions.held(polling.services(Settings()))
    columns = {
        "entry": [each.entry for each in found],
        "edition": [each.edition for each in found],
        "known_from": [each.known_from for each in found],
        "keys": [each.rows for each in found],
        "name": [each.name for each in found],
    }
    form.give(pa.table(columns))


@app.command()
def accept(entry: Entry, yes: Yes = False) -> None:
    """The source is right: withdraw the keys, from the clock of the edition that lacks them. Nothing is deleted."""
    one = _one(entry)
    if not yes:
        confirm("accept", f"Withdraw {one.rows} key(s) of {one.name}?")
    settings = Settings()
    audit.record(settings, "withdrawals accept", entry, rows=one.rows)
    print(f"{decisions.accept(polling.services(settings), one, clock.now())} withdrawn")


@app.command()
def discard(entry: Entry, yes: Yes = False) -> None:
    """The source is wrong: the keys stay, and later editions are compared with this one."""
    one = _one(entry)
    if not yes:
        confirm("discard", f"Let {one.rows} key(s) stand that {one.name} no longer holds?")
    settings = Settings()
    audit.record(settings, "withdrawals discard", entry, rows=one.rows)
    print(f"{decisions.discard(polling.services(settings), one, clock.now())} stand")


def _one(entry: str) -> Held:
    for each in decisions.held(polling.services(Settings())):
        if each.entry == entry:
            return each
    raise UsageError(f"no held publication is named {entry!r}", hint="correnteza withdrawals list")
