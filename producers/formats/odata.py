"""The Banco Central's OData services (Olinda): the form of a request, and the place of the items in an answer."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from foundation.errors import InvalidContent
from producers.formats import json_rows

# Characters that are not escaped in the documented addresses. A blank must be %20: HTTP libraries write `+` for it,
# which OData reads as a plus sign.
_VERBATIM = "@$'(),=:/"


def address(resource: str, options: Mapping[str, str]) -> str:
    """A path with its query, spelled as the service's documentation spells it."""
    query = "&".join(f"{quote(name, safe=_VERBATIM)}={quote(value, safe=_VERBATIM)}" for name, value in options.items())
    return f"{resource}?{query}"


def body(content: bytes) -> tuple[list[Any], str]:
    """The items, and the name of the resource from the context (its address is an internal host and must not be used).

    After a request with `$select` the requested fields follow that name in brackets.

    Raises: InvalidContent when it is not an object with a list `value`.
    """
    loaded = json_rows.load(content)
    if not isinstance(loaded, dict) or not isinstance(loaded.get("value"), list):
        raise InvalidContent(f"not an OData answer with a list of values: {str(loaded)[:200]}")
    context = loaded.get("@odata.context")
    return loaded["value"], context.rpartition("#")[2].partition("(")[0] if isinstance(context, str) else ""


def items(content: bytes) -> list[Any]:
    """Only the items. Raises: InvalidContent."""
    return body(content)[0]


def is_no_news(status: int, content: bytes) -> bool:
    """Whether the window is empty: a weekend, or a future day. 404 means a wrong address and is a failure."""
    if status != 200 or len(content) > 4096:
        return False
    try:
        return not items(content)
    except InvalidContent:
        return False
