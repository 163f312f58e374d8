"""Text of a legacy column → one value, without losing a digit; and a value → the text that checksums are made of."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from producers.legacy import copy_text
from producers.legacy.mapping import FORMS, Column, Mapping
from producers.model import BadValueError, RejectReason

Read: TypeAlias = Callable[[str], Any]
"""A text → its value, None for null. Raises: BadValueError."""

_PLAIN = re.compile(r"[-+]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][-+]?[0-9]{1,3})?")
_BRAZILIAN = re.compile(r"[-+]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]{1,60})(?:,[0-9]{0,60})?")
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}(?:\.0)?")
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[-+][0-9:]+)?))?"
)
_BRAZILIAN_DAY = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})(?: ([0-9]{2}:[0-9]{2}(?::[0-9]{2})?))?")
_EPOCH = re.compile(r"-?[0-9]{1,15}(?:\.0)?")
_BOOLEANS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_FIRST, _LAST = date(1, 1, 1), date(9998, 12, 31)


def reader(column: Column, mapping: Mapping) -> Read:
    """How the column's texts become values."""
    forms = column.forms or FORMS[column.kind][:1]
    digits = column.digits if column.kind == "decimal" else (0, 0)
    read: Read = {
        "text": lambda text: text,
        "boolean": _boolean,
        "int": lambda text: _integer(text, forms),
        "real": lambda text: _real(text, forms),
        "decimal": lambda text: _decimal(text, forms, *digits),
        "day": lambda text: _day(text, forms),
        "instant": lambda text: _instant(text, forms, ZoneInfo(mapping.time_zone)),
    }[column.kind]
    nulls = frozenset(column.nulls)
    if column.kind == "text":
        return lambda text: None if text in nulls else text
    return lambda text: None if text in nulls or text.strip() in nulls else read(text.strip())


def _bad(reason: RejectReason, what: str, text: str) -> BadValueError:
    return BadValueError(reason, f"{what}: {text[:80]!r}")


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise _bad(RejectReason.BAD_CODE, "neither true nor false", text) from None


def number(text: str, forms: tuple[str, ...]) -> str:
    """A number's text with a dot before its decimals.

    Where both forms are allowed, a text with a comma is Brazilian and one without is plain.

    Raises: BadValueError.
    """
    if "plain" in forms and _PLAIN.fullmatch(text):
        return text
    if "brazilian" in forms and _BRAZILIAN.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    raise _bad(RejectReason.BAD_NUMBER, "not a number", text)


def _integer(text: str, forms: tuple[str, ...]) -> int:
    found = number(text, forms)
    if not _INTEGER.fullmatch(found):
        raise _bad(RejectReason.OUT_OF_RANGE, "not a whole number", text)
    return int(found.removesuffix(".0"))  # never through a float: 2^53 + 1 is none


def _real(text: str, forms: tuple[str, ...]) -> float:
    found = number(text, forms)
    value = float(found)
    # repr is the shortest text of a double: what it does not hold, the double does not.
    if repr(value) != found and Decimal(repr(value)) != Decimal(found):
        raise _bad(RejectReason.OUT_OF_RANGE, "a double does not hold every digit", text)
    return value


def _decimal(text: str, forms: tuple[str, ...], precision: int, scale: int) -> Decimal:
    # Digits are moved as text: arithmetic would round to the 28 digits of the context.
    sign, numbers, exponent = Decimal(number(text, forms)).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, numbers)).lstrip("0")
    digits = written.rstrip("0")
    exponent += len(written) - len(digits)
    if not digits:
        return Decimal((0, (0,), -scale))
    if -exponent > scale:
        raise _bad(RejectReason.OUT_OF_RANGE, f"more than {scale} decimals", text)
    if len(digits) + exponent > precision - scale:
        raise _bad(RejectReason.OUT_OF_RANGE, f"more than {precision - scale} digits before the point", text)
    return Decimal((sign, tuple(map(int, digits + "0" * (exponent + scale))), -scale))


def _day(text: str, forms: tuple[str, ...]) -> date:
    moment = _moment(text, forms)
    if isinstance(moment, datetime):
        if moment.timetz().replace(tzinfo=None) != datetime.min.time():
            raise _bad(RejectReason.BAD_DATE, "a day with a time of day", text)
        return moment.date()
    return moment


def _instant(text: str, forms: tuple[str, ...], zone: ZoneInfo) -> datetime:
    moment = _moment(text, forms)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _moment(text: str, forms: tuple[str, ...]) -> date | datetime:
    try:
        if "iso" in forms and (match := _ISO.fullmatch(text)):
            return _in_range(match[1], match[2], match[3], match[4])
        if "brazilian" in forms and (match := _BRAZILIAN_DAY.fullmatch(text)):
            return _in_range(match[3], match[2], match[1], match[4])
        for form, per_second in (("epoch_seconds", 1), ("epoch_milliseconds", 1000)):
            if form in forms and _EPOCH.fullmatch(text):
                seconds, rest = divmod(int(text.removesuffix(".0")), per_second)
                since = timedelta(seconds=seconds, milliseconds=rest)
                return datetime(1970, 1, 1, tzinfo=UTC) + since
    except (ValueError, OverflowError):
        raise _bad(RejectReason.BAD_DATE, "no such day", text) from None
    raise _bad(RejectReason.BAD_DATE, "not a date", text)


def _in_range(year: str, month: str, day: str, time: str | None) -> date | datetime:
    found = date(int(year), int(month), int(day))
    if not _FIRST <= found <= _LAST:
        raise ValueError
    return datetime.fromisoformat(f"{found.isoformat()}T{time}") if time else found


def canonical(value: Any) -> str:
    """A value as the checksums of `migrate verify` take it: one text for each value, and for no other of its type."""
    return _CANONICAL[type(value)](value)


def _plain(value: Decimal) -> str:
    """A decimal without exponent and without zeros at its end."""
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


_CANONICAL: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: copy_text.NULL,
    str: copy_text.cell,
    bool: lambda value: "true" if value else "false",
    int: str,
    float: lambda value: repr(value + 0.0),  # the two zeros are one value
    Decimal: _plain,
    date: str,
    datetime: lambda value: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
}
