"""What several verbs take on the command line."""

from collections.abc import Sequence

from foundation.errors import UsageError


def key_of(texts: Sequence[str], example: str) -> dict[str, str]:
    """`COLUMN=VALUE` arguments as a key. Raises: UsageError when one has another form."""
    if wrong := [text for text in texts if "=" not in text]:
        raise UsageError(f"{wrong[0]!r} is not COLUMN=VALUE", hint=f"such as {example}")
    return dict(text.split("=", 1) for text in texts)
