"""Text as published → one value. Each function takes a distinct text once and raises BadValueError, naming the text."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

from producers.model import BadValueError, RejectReason

T = TypeVar("T")

_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,30}(?:[.,][0-9]{0,30})?|[.,][0-9]{1,30})")
# A whole float ends in one zero; `12.000` means twelve thousand in Brazil, and floats are not written like that.
_INTEGER = re.compile(r"([0-9]{1,18})(?:\.0)?")
_FIRST_YEAR, _LAST_YEAR = 1800, 2200
_CNPJ = re.compile(r"[0-9A-Z]{12}[0-9]{2}")
_ISO_DAY = re.compile(r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})")
_BRAZILIAN_DAY = re.compile(r"([0-9]{2})[-/]([0-9]{2})[-/]([0-9]{4})")
_SHORT_DAY = re.compile(r"([0-9]{2})[-/]([0-9]{2})[-/]([0-9]{2})")
_HOUR = re.compile(r"([0-9]{2}):?([0-9]{2})(?: ?UTC)?")


def text(value: str) -> str | None:
    """Without outer blanks; the empty text is null."""
    return value.strip() or None


def real(value: str) -> float | None:
    """A number with comma or dot, with or without a zero before the comma (`,8`, `-,4`); blank is null."""
    stripped = value.strip()
    return _real(stripped) if stripped else None


def _real(stripped: str) -> float:
    if not _NUMBER.fullmatch(stripped):
        raise BadValueError(RejectReason.BAD_NUMBER, f"not a number: {stripped!r}")
    return float(stripped.replace(",", "."))


def decimal(precision: int, scale: int) -> Callable[[str], Decimal | None]:
    """A reader of exact decimals, comma or dot; blank is null. More digits than fit are refused, never rounded."""
    quantum = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (precision - scale)

    def read(value: str) -> Decimal | None:
        stripped = value.strip()
        if not stripped:
            return None
        if not _NUMBER.fullmatch(stripped):
            raise BadValueError(RejectReason.BAD_NUMBER, f"not a decimal: {stripped!r}")
        number = Decimal(stripped.replace(",", "."))
        if abs(number) >= limit:
            raise BadValueError(RejectReason.OUT_OF_RANGE, f"more than {precision - scale} digits: {stripped!r}")
        exact = number.quantize(quantum)
        if exact != number:
            raise BadValueError(RejectReason.OUT_OF_RANGE, f"more than {scale} decimals: {stripped!r}")
        return exact

    return read


def count(value: str) -> int | None:
    """A whole number at or above zero; `33818.0` is one; blank is null.

    Only one `.0` may follow: `53.000` means fifty-three thousand where a dot separates thousands.
    """
    stripped = value.strip()
    if not stripped:
        return None
    match = _INTEGER.fullmatch(stripped)
    if match is None:
        reason = RejectReason.OUT_OF_RANGE if _NUMBER.fullmatch(stripped) else RejectReason.BAD_NUMBER
        raise BadValueError(reason, f"not a count: {stripped!r}")
    return int(match[1])


def required(read: Callable[[str], T | None], name: str) -> Callable[[str], T]:
    """The same reader, for a field that may not be blank."""

    def checked(value: str) -> T:
        found = read(value)
        if found is None:
            raise BadValueError(RejectReason.MISSING_VALUE, f"{name} is blank")
        return found

    return checked


def digits(length: int) -> Callable[[str], str | None]:
    """A code of digits kept as text; dots, slashes and dashes in it are dropped."""

    @lru_cache(maxsize=1 << 14)  # the same thousands of municipalities and providers are in every chunk
    def read(value: str) -> str | None:
        stripped = value.strip()
        if not stripped:
            return None
        code = re.sub(r"[./-]", "", stripped)
        if len(code) != length or not (code.isascii() and code.isdecimal()):
            raise BadValueError(RejectReason.BAD_CODE, f"not {length} digits: {stripped!r}")
        return code

    return read


@lru_cache(maxsize=1 << 14)
def cnpj(value: str) -> str | None:
    """A company's number: 12 digits or letters (since July 2026), then two digits; blank is null.

    Punctuation is dropped, letters become capitals, and lost leading zeros are restored; a number with letters cannot
    have lost zeros in a spreadsheet. The check digits are not checked here: a row with a wrong one still counts
    accesses, and silver's expectation reports it.
    """
    stripped = value.strip()
    if not stripped:
        return None
    code = re.sub(r"[./-]", "", stripped).upper()
    if code.isascii() and code.isdecimal():
        code = code.zfill(14)
    if not _CNPJ.fullmatch(code):
        raise BadValueError(RejectReason.BAD_CODE, f"no CNPJ (12 digits or letters, 2 digits): {stripped!r}")
    return code


def day(value: str) -> date:
    """`2018-01-01`, `2019/01/01` or `28/01/2003`."""
    stripped = value.strip()
    if match := _ISO_DAY.fullmatch(stripped):
        return _date(stripped, match[1], match[2], match[3])
    if match := _BRAZILIAN_DAY.fullmatch(stripped):
        return _date(stripped, match[3], match[2], match[1])
    raise BadValueError(RejectReason.BAD_DATE, f"not a date: {stripped!r}")


def reference_day(value: str) -> date:
    """The day that a value describes: a date of the years 1800 to 2200.

    No source describes other years, and a publication clock after the year 9998 is not possible. A licence may last
    longer.
    """
    found = day(value)
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise BadValueError(RejectReason.OUT_OF_RANGE, f"no day that a value can describe: {value.strip()!r}")
    return found


def founding_day(value: str) -> date | None:
    """`2003-01-28`, or `28/01/03` and `28-01-03` with two digits of this century; blank is null."""
    stripped = value.strip()
    if not stripped:
        return None
    if match := _SHORT_DAY.fullmatch(stripped):
        # INMET's first automatic station was founded in 2000: two digits are unambiguous.
        return _date(stripped, f"20{match[3]}", match[2], match[1])
    return day(stripped)


def hour(value: str) -> timedelta:
    """`00:00`, `0000 UTC`, `1600` or `1600 UTC`: time since midnight, a whole hour.

    A row at half past would give a day too many hours.
    """
    match = _HOUR.fullmatch(value.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise BadValueError(RejectReason.BAD_DATE, f"not an hour: {value.strip()!r}")
    if match[2] != "00":
        raise BadValueError(RejectReason.BAD_DATE, f"not a whole hour: {value.strip()!r}")
    return timedelta(hours=int(match[1]))


def _date(shown: str, year: str, month: str, day_of_month: str) -> date:
    try:
        return date(int(year), int(month), int(day_of_month))
    except ValueError:
        raise BadValueError(RejectReason.BAD_DATE, f"no such day: {shown!r}") from None
