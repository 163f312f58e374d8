r"""A row as one line of text, from which every value comes back as it was: PostgreSQL's COPY format.

Values stand between tabs. `\N` is null; backslash, tab and line ends have escapes, and a quote is `\x22`, so that no
CSV reader takes it for its own. Bytes that are no text stand as SQL writes a blob.
"""

import re

NULL = r"\N"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': "\\x22", "\0": "\\x00"}
_TO_ESCAPE = re.compile(r'[\\\t\n\r"\0]')
_ESCAPED = re.compile(r"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def cell(value: str | None) -> str:
    """One value as it stands in a line."""
    if value is None:
        return NULL
    return _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], value) if _TO_ESCAPE.search(value) else value


def uncell(text: str) -> str | None:
    """The value of a cell; the inverse of `cell`. Raises: ValueError for an escape that `cell` does not write."""
    if text == NULL:
        return None
    return _ESCAPED.sub(_plain, text) if "\\" in text else text


def _plain(found: re.Match[str]) -> str:
    escape = found[1]
    if len(escape) == 3:
        return chr(int(escape[1:], 16))
    try:
        return _LETTERS[escape]
    except KeyError:
        raise ValueError(f"no such escape: {found[0]!r}") from None


def blob(value: bytes) -> str:
    """Bytes as SQL writes them: `x'68690a'`."""
    return f"x'{value.hex()}'"
