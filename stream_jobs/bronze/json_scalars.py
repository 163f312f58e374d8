"""Simple values of JSON as values of a column's type: nothing is rounded or guessed, except by float and double.

Messages never repeat a value: a log or a terminal may show them.
"""

import base64
import binascii
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from schemas.avro_types import kind_of

Simple = Callable[[Any, str], Any]
"""Value of JSON and the path of its field → value of the column. Raises: Misfit."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNITS = {"timestamp-millis": (timedelta(milliseconds=1), 3), "timestamp-micros": (timedelta(microseconds=1), 6)}
"""Logical type → what one counts, and digits of a fraction of a second."""
_BITS = {"int": 31, "long": 63}


class Misfit(ValueError):
    """Why a value does not fit. Args: path: of the field, by the contract's names."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path or 'the value'}: {what}")


def simple(avro: str | Mapping[str, Any]) -> Simple:
    """How a type without parts is read. Raises: KeyError: it has parts."""
    if isinstance(avro, str):
        return _bits(avro) if avro in _BITS else _OTHERS[avro]
    match kind_of(avro):
        case "decimal":
            return _decimal(avro["precision"], avro.get("scale", 0))
        case "enum":
            return _one_of(frozenset(avro["symbols"]))
        case "fixed":
            return _bytes(avro["size"])
        case "timestamp-millis" | "timestamp-micros" as kind:
            return _instant(*_UNITS[kind])
        case kind:
            return _OTHERS[kind]


def _bits(kind: str) -> Simple:
    return _whole(_BITS[kind])


def must(value: Any, kind: type, path: str) -> Any:
    """The value, if it is of this type. Raises: Misfit."""
    if type(value) is not kind:
        raise Misfit(path, f"{kind_said(value)} instead of {_NAMES[kind]}")
    return value


def text_of(value: Any, path: str) -> str:
    """The value as a text that has a form in UTF-8. Raises: Misfit."""
    text = str(must(value, str, path))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Misfit(path, "half of a surrogate pair, which is no text") from None
    return text


def _matching(form: re.Pattern[str], what: str) -> Simple:
    def convert(value: Any, path: str) -> str:
        text = text_of(value, path)
        if not form.fullmatch(text):
            raise Misfit(path, f"a text that is no {what}")
        return text

    return convert


def _one_of(symbols: frozenset[str]) -> Simple:
    def convert(value: Any, path: str) -> str:
        if (text := text_of(value, path)) not in symbols:
            raise Misfit(path, "a text that is none of the symbols")
        return text

    return convert


def _whole(bits: int) -> Simple:
    def convert(value: Any, path: str) -> int:
        number = int(must(value, int, path))
        if not -(1 << bits) <= number < 1 << bits:
            raise Misfit(path, f"a number of more than {bits + 1} bits")
        return number

    return convert


def _float(value: Any, path: str, form: str) -> float:
    if type(value) not in (int, Decimal):
        raise Misfit(path, f"{kind_said(value)} instead of a number")
    try:
        (number,) = struct.unpack(form, struct.pack(form, float(value)))
    except OverflowError:
        number = float("inf")
    if abs(number) == float("inf"):
        raise Misfit(path, "a number that is too large")
    return float(number)


def _decimal(precision: int, scale: int) -> Simple:
    def convert(value: Any, path: str) -> Decimal:
        if type(value) is str and _NUMBER.fullmatch(value):
            value = Decimal(value)
        if type(value) not in (int, Decimal):
            raise Misfit(path, f"{kind_said(value)} instead of a number, or of its text")
        sign, digits, exponent = Decimal(value).as_tuple()
        assert isinstance(exponent, int)
        said = "".join(map(str, digits)).lstrip("0")
        kept = said.rstrip("0")
        exponent += len(said) - len(kept)
        if not kept:
            return Decimal(0)
        if -exponent > scale:
            raise Misfit(path, f"a number with more than {scale} digits after the point")
        if len(kept) + exponent > precision - scale:
            raise Misfit(path, f"a number with more than {precision - scale} digits before the point")
        return Decimal((sign, tuple(map(int, kept)), exponent))

    return convert


def _bytes(size: int | None) -> Simple:
    def convert(value: Any, path: str) -> bytes:
        try:
            found = base64.b64decode(text_of(value, path).encode(), validate=True)
        except binascii.Error:
            raise Misfit(path, "a text that is no base64") from None
        if size is not None and len(found) != size:
            raise Misfit(path, f"not {size} bytes")
        return found

    return convert


def _day(value: Any, path: str) -> date:
    try:
        if type(value) is int:
            return (_EPOCH + timedelta(days=value)).date()
        if _DAY.fullmatch(text := text_of(value, path)):
            return date.fromisoformat(text)
    except Misfit:
        raise
    except (ValueError, OverflowError):
        raise Misfit(path, "no day of the years 1 to 9999") from None
    raise Misfit(path, "a text that is no day such as 2024-05-31")


def _instant(unit: timedelta, places: int) -> Simple:
    def convert(value: Any, path: str) -> datetime:
        try:
            if type(value) is int:
                return _EPOCH + value * unit
            if not (said := _INSTANT.fullmatch(text_of(value, path))):
                raise Misfit(path, "a text that is no instant such as 2024-05-31T12:00:00Z")
            day, hour, minute, second, fraction, sign, hours, minutes = said.groups()
            if len(fraction := (fraction or "").rstrip("0")) > places:
                raise Misfit(path, f"an instant with more than {places} digits of a second")
            off = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
            at = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}").replace(
                microsecond=int(fraction.ljust(6, "0")), tzinfo=timezone(off)
            )
            return at.astimezone(UTC)
        except Misfit:
            raise
        except (ValueError, OverflowError):
            raise Misfit(path, "no instant of the years 1 to 9999") from None

    return convert


def _boolean(value: Any, path: str) -> bool:
    return bool(must(value, bool, path))


def kind_said(value: Any) -> str:
    """What a value of JSON is, in words."""
    return "null" if value is None else _NAMES[type(value)]


_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    Decimal: "a number with a fraction",
}
_OTHERS: dict[str, Simple] = {
    "string": text_of,
    "uuid": _matching(_UUID, "uuid"),
    "boolean": _boolean,
    "bytes": _bytes(None),
    "date": _day,
    "float": lambda value, path: _float(value, path, ">f"),
    "double": lambda value, path: _float(value, path, ">d"),
}
