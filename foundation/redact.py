"""Remove what no log, message or status may show: user information in addresses, numbers of persons, our keys, and
characters that control a terminal.

A source may repeat a request's key in its answer, so the code that uses a key passes it to `hide`.
"""

import re
from collections.abc import Iterable
from typing import Any, TextIO

from structlog.typing import EventDict, WrappedLogger

_USER_INFO = re.compile(r"""(?<=://)(?:[^/\s]+|[^/\s:]*:[^\s"<>]+)(?=@)""")
"""User information, up to the last `@` before the host. A password may contain `/`: if there is a colon before the
first slash, everything up to the last `@` is hidden. This may hide too much, as in http://host:80/a@b, but never too
little."""
_NAMED = re.compile(
    r"""(?ix) (?<![\w.])
    ( authorization ["']? \s* [:=] \s* ["']? (?: (?:basic|bearer|digest) \s+ )?
    | (?: sasl\.(?:password|jaas\.config) | [\w.]*password | api_?key | access_?token ) ["']? \s* [:=] \s* ["']? )
    ( [^\s"'&,;}]+ )"""
)
"""A header, property or parameter whose name shows that its value is a secret."""
_SECRET_NAME = re.compile(r"(?i)(password|secret|token|authorization|api_?key|jaas\.config)$")
_CPF = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
"""A Brazilian taxpayer's number with punctuation. Eleven plain digits are not hidden, because offsets and ids look like
that."""

SHOWN = "***"

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Let this process show `***` in place of this text from now on."""
    if secret:
        _hidden.add(secret)


def redacted(text: str) -> str:
    """The text, with `***` in place of secrets."""
    for secret in _hidden:
        text = text.replace(secret, SHOWN)
    return _CPF.sub(SHOWN, _NAMED.sub(rf"\1{SHOWN}", _USER_INFO.sub(SHOWN, text)))


def escaped(text: str) -> str:
    """The text, with control characters for cursor, colour and direction written as escapes, such as `\\x1b`.

    Texts of a source may contain such characters, and a terminal would execute them. Line breaks and tabs stay.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


class Escaping:
    """A text stream for people that removes control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Returns: how many characters were passed."""
        self._stream.write(escaped(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unescaped(stream: TextIO) -> TextIO:
    """The stream below an `Escaping` one, for code that draws on a terminal and shows no foreign text."""
    return stream._stream if isinstance(stream, Escaping) else stream


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """A structlog processor: remove secrets and control characters from every value of a line, at any depth."""
    return {name: _named(name, value) for name, value in line.items()}


def inside(value: Any) -> Any:
    """A value without secrets and control characters, at any depth."""
    if isinstance(value, str):
        return escaped(redacted(value))
    if isinstance(value, dict):
        return {name: _named(name, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [inside(each) for each in value]
    return value if isinstance(value, int | float | None) else escaped(redacted(str(value)))


def _named(name: Any, value: Any) -> Any:
    return SHOWN if isinstance(name, str) and _SECRET_NAME.search(name) and value is not None else inside(value)
