"""What no log, message or status may show: the user information of an address, numbers that name a person, our keys.

A source may repeat a key that it was asked with, in the reason why it refuses: whoever holds one says so to `hide`.
"""

import re
from typing import Any

from structlog.typing import EventDict, WrappedLogger

_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
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
    return _CPF.sub(SHOWN, _USER_INFO.sub(SHOWN, text))


def redact(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """A structlog processor: every value of a line, however deep it stands."""
    return {name: _inside(value) for name, value in line.items()}


def _inside(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _inside(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_inside(each) for each in value]
    return value if isinstance(value, int | float | None) else redacted(str(value))
