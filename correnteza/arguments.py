"""Command-line arguments that several commands share."""

import sys
from collections.abc import Sequence

import typer

from foundation.errors import UsageError


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
