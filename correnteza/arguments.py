"""Command-line arguments that several commands share."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from foundation.errors import UsageError

NOTHING_NEW = 99
"""The exit code by which another scheduler sees that there was nothing to do, and skips what would follow."""

Exit99 = Annotated[
    bool, typer.Option("--exit-99", help="End with 99 if nothing was new, for a scheduler that skips what follows.")
]


def key_of(texts: Sequence[str], example: str) -> dict[str, str]:
    """`COLUMN=VALUE` arguments as a key. Raises: UsageError when one has another form."""
    if wrong := [text for text in texts if "=" not in text]:
        raise UsageError(f"{wrong[0]!r} is not COLUMN=VALUE", hint=f"such as {example}")
    return dict(text.split("=", 1) for text in texts)


def confirm(verb: str, question: str) -> None:
    """Ask for a confirmation before a final decision; a no ends the command with 1.

    Raises: UsageError when there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{verb} asks first, and there is no terminal to ask on", hint="add --yes")
    if not typer.confirm(question):
        raise typer.Exit(1)
