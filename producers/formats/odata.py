"""The Banco Central's OData services (Olinda): how a request is written, and where an answer has its items."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from foundation.errors import InvalidContent
from producers.formats import json_rows

# What stands in the documented addresses as it is. A blank must be %20: the `+` that HTTP libraries write for one in
# parameters is a plus sign to OData, which knows no forms.
_VERBATIM = "@$'(),=:/"


def address(resource: str, options: Mapping[str, str]) -> str:
    """A path with its query, spelled as the service's documentation spells it."""
    query = "&".join(f"{quote(name, safe=_VERBATIM)}={quote(value, safe=_VERBATIM)}" for name, value in options.items())
    return f"{resource}?{query}"


def body(content: bytes) -> tuple[list[Any], str]:
    """The items, and the name of what was asked for as the context tells it (never to be followed: an internal host).

    A question with `$select` puts the fields asked for in brackets behind that name.

    Raises: InvalidContent when it is not an object with a list `value`.
    """
    loaded = json_rows.load(content)
    if not isinstance(loaded, dict) or not isinstance(loaded.get("value"), list):
        raise InvalidContent(f"not an OData answer with a list of values: {str(loaded)[:200]}")
    context = loaded.get("@odata.context")
    return loaded["value"], context.rpartition("#")[2].partition("(")[0] if isinstance(context, str) else ""


def items(content: bytes) -> list[Any]:
    """The items alone. Raises: InvalidContent."""
    return body(content)[0]


def is_no_news(status: int, content: bytes) -> bool:
    """The window holds nothing: a weekend, or a day to come. 404 is a wrong address, and so a failure."""
    if status != 200 or len(content) > 4096:
        return False
    try:
        return not items(content)
    except InvalidContent:
        return False
