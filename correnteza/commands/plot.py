"""`correnteza plot`: a picture of a series or a factor."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from correnteza import plotting
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import instant
from monitoring.reading.series import FORMS, picture


def command(
    what: Annotated[str, typer.Argument(help=f"Such as {FORMS}.")],
    as_of: Annotated[
        list[str] | None,
        typer.Option("--as-of", help="A date (the end of that UTC day) or a timestamp; repeat it for more."),
    ] = None,
    *,
    first: Annotated[str | None, typer.Option("--from", help="First day to draw.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day to draw.")] = None,
    output: Annotated[Path | None, typer.Option(help="A .png or .svg file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Draw a series or a factor, with its vintages in one picture.

    Example: correnteza plot sgs:433 --as-of 2025-11-10 --as-of 2025-11-11 --from 2024-01-01 --output ipca.png
    """
    file = output or Path(what.replace(":", "-") + ".png")
    if file.suffix not in plotting.SUFFIXES:
        raise UsageError(f"{file} is neither .png nor .svg")
    if file.exists() and not force:
        raise UsageError(f"{file} exists", hint="--force writes over it; --output names another file")
    drawn = picture(
        Lake(Settings().lake_root),
        what,
        [instant(text) for text in as_of or []],
        first_on=_day(first),
        last_on=_day(last),
    )
    plotting.write(plotting.draw(drawn), file)
    print(file)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is not a date", hint="2024-12-31") from None
