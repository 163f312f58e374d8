"""What no log, message or status may show: the user information of an address, numbers that name a person, our keys,
and characters that control a terminal.

A source may repeat a key of the request in its refusal, so the code that uses a key passes it to `hide`.
"""

import re
from collections.abc import Iterable
from typing import Any, TextIO

from structlog.typing import EventDict, WrappedLogger

_USER_INFO = re.compile(r"""(?<=://)(?:[^/\s]+|[^/\s:]*:[^\s"<>]+)(?=@)""")
"""Up to the last `@` of a host's place. A password may hold `/` too: where a colon stands before the first slash, all
up to the last `@` is hidden: in doubt too much, as of http://host:80/a@b, and never too little of a password."""
_NAMED = re.compile(
    r"""(?ix) (?<![\w.])
    ( authorization ["']? \s* [:=] \s* ["']? (?: (?:basic|bearer|digest) \s+ )?
    | (?: sasl\.(?:password|jaas\.config) | [\w.]*password | api_?key | access_?token ) ["']? \s* [:=] \s* ["']? )
    ( [^\s"'&,;}]+ )"""
)
"""A header, a property or a parameter whose value is a secret by its name."""
_SECRET_NAME = re.compile(r"(?i)(password|secret|token|authorization|api_?key|jaas\.config)$")
_CPF = re.compile(r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\d)")
"""A Brazilian taxpayer's number as people write it. Eleven bare digits are left: offsets and ids look like that."""

SHOWN = "***"

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """From now on this process shows `***` in the place of this text, wherever it comes from."""
    if secret:
        _hidden.add(secret)


def redacted(text: str) -> str:
    """The text, with `***` in the place of what must not be shown."""
    for secret in _hidden:
        text = text.replace(secret, SHOWN)
    return _CPF.sub(SHOWN, _NAMED.sub(rf"\1{SHOWN}", _USER_INFO.sub(SHOWN, text)))


def escaped(text: str) -> str:
    """The text, with what moves a cursor, colours or turns the direction of reading as its escape, such as `\\x1b`.

    What comes from a source may hold such characters; a terminal would obey them. Line breaks and tabs stay.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


class Escaping:
    """A text stream for people: what is written to it goes on without control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Returns: how many characters were given."""
        self._stream.write(escaped(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unescaped(stream: TextIO) -> TextIO:
    """The stream below an `Escaping` one, for what draws on a terminal and shows no text of others."""
    return stream._stream if isinstance(stream, Escaping) else stream


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """A structlog processor: every value of a line, however deep it stands, without secrets and control characters."""
    return {name: _named(name, value) for name, value in line.items()}


def inside(value: Any) -> Any:
    """A value of a line, however deep its own values stand, without secrets and control characters."""
    if isinstance(value, str):
        return escaped(redacted(value))
    if isinstance(value, dict):
        return {name: _named(name, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [inside(each) for each in value]
    return value if isinstance(value, int | float | None) else escaped(redacted(str(value)))


def _named(name: Any, value: Any) -> Any:
    return SHOWN if isinstance(name, str) and _SECRET_NAME.search(name) and value is not None else inside(value)
