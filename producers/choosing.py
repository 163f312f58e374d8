"""Read what the setting `polled` says of a source: own items, checked by the source, and what is polled no longer."""

import re
from collections.abc import Mapping
from typing import Any

from producers.model import Choosable
from schemas.choices import Choice

MOST_OWN = 100
"""Own items of a source. Each costs requests at every poll, and some have a figure on the status page."""

MOST_TEXT = 300
"""Characters of a text that goes into an address."""

_POLL = "poll"


class Fields:
    """The fields of one item in the settings; every read field is then known, all others are refused.

    Reading raises ValueError, which names the field and says what it must be.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._read: set[str] = set()

    def text(self, name: str, *, form: str, is_said: str, default: str | None = None) -> str:
        """A text of that form, of at most MOST_TEXT characters; without a default it is required."""
        value = self._value(name, default)
        is_formed = isinstance(value, str) and len(value) <= MOST_TEXT and re.fullmatch(form, value, re.ASCII)
        if value != default and not is_formed:
            raise ValueError(f"{name} must be {is_said}")
        return str(value)

    def name(self, name: str) -> str:
        """One line of text for people, in any letters."""
        value = self._value(name, None)
        if not isinstance(value, str) or not (0 < len(value) <= 80) or not value.isprintable():
            raise ValueError(f"{name} must be a text of at most 80 characters")
        return value

    def one_of(self, name: str, options: tuple[Any, ...], default: Any = None) -> Any:
        """One of these values."""
        value = self._value(name, default)
        if isinstance(value, bool) or value not in options:
            raise ValueError(f"{name} must be one of {', '.join(map(str, options))}")
        return value

    def whole(self, name: str, least: int, greatest: int) -> int:
        """A whole number within bounds."""
        value = self._value(name, None)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= greatest:
            raise ValueError(f"{name} must be a whole number from {least} to {greatest}")
        return value

    def number(self, name: str, least: float, greatest: float) -> float | None:
        """A number within bounds; None if it is left out."""
        value = self._given.get(name)
        self._read.add(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= greatest:
            raise ValueError(f"{name} must be a number from {least:g} to {greatest:g}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return value

    def end(self) -> None:
        """Raises: ValueError when there are fields that nothing read."""
        if unknown := sorted(self._given.keys() - self._read):
            known = ", ".join(sorted(self._read))
            raise ValueError(f"there is no field {', '.join(map(repr, unknown))[:200]}; known: {known}")

    def _value(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._given.get(name, default)
        if value is None:
            raise ValueError(f"{name} is missing")
        return value


def read(choosable: Choosable, given: Mapping[str, Any]) -> Choice:
    """The choice that the settings make for a source. Raises: ValueError, naming the item and its field.

    Args:
        given: key → true, false, or the fields of an own item. `false`, and a field `poll = false`, stop its polls.
    """
    own: dict[str, Any] = {}
    stopped: set[str] = set()
    for key, value in given.items():
        try:
            fields = dict(value) if isinstance(value, Mapping) else {_POLL: value}
            if not Fields(fields).flag(_POLL, default=True):
                stopped.add(key)
            fields.pop(_POLL, None)
            if key not in choosable.declared:
                own[key] = _own(choosable, key, fields)
            elif fields:
                raise ValueError(f"is declared, and cannot be another {choosable.what}; it can be left out: false")
        except ValueError as problem:
            raise ValueError(f"{choosable.what} {key[:40]!r}: {problem}") from None
    if len(own) > MOST_OWN:
        raise ValueError(f"at most {MOST_OWN} of one's own, not {len(own)}")
    return Choice(own, frozenset(stopped))


def _own(choosable: Choosable, key: str, given: Mapping[str, Any]) -> Any:
    if choosable.read is None:
        known = ", ".join(sorted(choosable.declared)[:30])
        raise ValueError(f"there is no such {choosable.what}; one of: {known}")
    fields = Fields(given)
    item = choosable.read(key, fields)
    fields.end()
    return item
