"""Code for sources with JSON bodies: every number is kept as text, and the items become chunks of rows.

These bodies are small, so a whole body is kept in memory and read item by item. A bad item is a reject in its place.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from foundation.errors import InvalidContent
from producers.formats import values
from producers.formats.columns import batch, reject
from producers.model import BadValueError, Parsed, Reject, RejectReason
from schemas.arrow import arrow_schema
from schemas.contracts import load as load_contract

MAX_TEXT = 4096
"""Longest text of one field, characters. The sources' own are below 300; Kafka messages have to stay small."""

_LONGEST_NUMBER = 60


def load(body: bytes) -> Any:
    """The JSON value of a body; numbers are text, as the source wrote them. Raises: InvalidContent."""
    try:
        # A float would lose digits.
        return json.loads(
            body.decode("utf-8-sig"),
            parse_float=_plain,
            parse_int=str,
            parse_constant=constant,
            object_pairs_hook=object_of,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidContent(f"not JSON: {error}") from None


def constant(name: str) -> str | None:
    """The meaning of `NaN`, `Infinity` and `-Infinity`, which are not JSON, but which many programs write.

    NaN means that there is no number: null. Infinity is an error of the source and not a missing value: it stays text,
        so that the reader of a number rejects the row with this text.
    """
    return None if name == "NaN" else name


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose fields are all different: of two equal ones, Python's JSON reader would silently take the last.

    Raises: ValueError, naming the field.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a field stands twice in an object: {twice[:50]!r}")
    return found


def _plain(number: str) -> str:
    """A number without an exponent, which JSON allows and Java writes for small numbers (`4.0E-4`)."""
    _, e, exponent = number.lower().partition("e")
    if not e or len(exponent) > 3 or abs(int(exponent)) > _LONGEST_NUMBER or len(number) > _LONGEST_NUMBER:
        return number
    return f"{Decimal(number):f}"


def text(item: Mapping[str, Any], name: str) -> str:
    """The text of a field that is text or a number; null and an absent field give the empty text. Raises:
    BadValueError, naming the field."""
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadValueError(RejectReason.MALFORMED_ROW, f"{name} is neither text nor a number")
    if len(value) > MAX_TEXT:
        raise BadValueError(RejectReason.ROW_TOO_LONG, f"{name} is longer than {MAX_TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can write and UTF-8 cannot
        raise BadValueError(RejectReason.BAD_ENCODING, f"{name} is not text") from None
    return value


def required_text(item: Mapping[str, Any], name: str) -> str:
    """The same without outer blanks, for a field that may not be blank."""
    if found := text(item, name).strip():
        return found
    raise BadValueError(RejectReason.MISSING_VALUE, f"{name} is blank")


def require(item: Mapping[str, Any], names: Iterable[str], *, known: Container[str] | None = None) -> None:
    """Reject an item that lacks one of these fields: a renamed field must not become a column of nulls.

    Args:
        known: all fields that an item may have: the message names the other fields, one of which may be the new name.
    """
    if lacking := [name for name in names if name not in item]:
        unknown = [] if known is None else sorted(name for name in item if name not in known)
        standing = f"; unknown fields that stand there: {', '.join(unknown)[:100]}" if unknown else ""
        raise BadValueError(RejectReason.MALFORMED_ROW, f"lacks {', '.join(lacking)[:60]}{standing}")


def unknown_fields(items: Iterable[Any], known: Container[str]) -> tuple[str, ...]:
    """For `Parsed.notes`: undeclared fields of the items, if there are any."""
    found = {name for item in items if isinstance(item, dict) for name in item if name not in known}
    return (f"fields nobody declared: {', '.join(sorted(found))[:200]}",) if found else ()


def absent_fields(items: Iterable[Any], optional: Iterable[str]) -> tuple[str, ...]:
    """For `Parsed.notes`: optional fields that are absent in every item."""
    objects = [item for item in items if isinstance(item, dict)]
    absent = [name for name in optional if objects and not any(name in item for item in objects)]
    return (f"absent fields, null here: {', '.join(sorted(absent))}",) if absent else ()


@dataclass(frozen=True)
class Rows:
    """How the items of a body become records of one dataset.

    Attributes:
        names: the contract's fields that `read` gives, in its order.
    """

    dataset: str
    names: Sequence[str]

    def chunks(
        self,
        items: Sequence[Any],
        read: Callable[[Any], tuple[Any, ...]],
        *,
        first_row: int,
        chunk_rows: int,
        notes: tuple[str, ...] = (),
    ) -> Iterator[Parsed]:
        """Every item from `first_row` on, at least one chunk, so that a body without items counts as read.

        Args:
            read: item → the values of `names`; raises BadValueError for a bad one.
        """
        start = first_row
        while start < len(items) or start == first_row:
            yield self._chunk(items[start : start + chunk_rows], read, start, notes)
            start += chunk_rows

    def _chunk(
        self, items: Sequence[Any], read: Callable[[Any], tuple[Any, ...]], start: int, notes: tuple[str, ...]
    ) -> Parsed:
        rows: list[tuple[Any, ...]] = []
        rejects: list[Reject] = []
        for number, item in enumerate(items, start):
            try:
                if not isinstance(item, dict):
                    raise BadValueError(RejectReason.MALFORMED_ROW, "not an object")
                rows.append((*read(item), number))
            except BadValueError as problem:
                rejects.append(reject(self.dataset, number, problem, _bytes(item)))
        schema = arrow_schema(load_contract(self.dataset))
        names = (*self.names, "row_number")
        columns = [pa.array([row[index] for row in rows], schema.field(name).type) for index, name in enumerate(names)]
        records = {self.dataset: batch(names, columns, schema)}
        return Parsed(start, start + len(items), records, tuple(rejects), notes)


def newest_day(items: Sequence[Any], name: str, *, until: date = date.max) -> date | None:
    """The latest day at the beginning of a field of the items; items without a day do not count.

    Args:
        until: later days do not count either: an error of the source must not remain its newest day forever.
    """
    found = []
    for item in items:
        try:
            found.append(values.reference_day(text(item, name)[:10]))
        except (BadValueError, AttributeError):
            continue
    return max((day for day in found if day <= until), default=None)


def adds_nothing(items_of: Callable[[bytes], Sequence[Any]]) -> Callable[[bytes, bytes], bool]:
    """For `Source.repeats`: whether every item of a body is in the former body with the same values.

    Windows move, so bodies differ every day; only new items and changed values count.
    """

    def repeats(former: bytes, body: bytes) -> bool:
        try:
            known = {_bytes(item) for item in items_of(former)}
            return all(_bytes(item) in known for item in items_of(body))
        except InvalidContent:
            return False  # the parser will report the problem

    return repeats


def same_items(former: Sequence[Any], items: Sequence[Any]) -> bool:
    """Whether two bodies hold the same items, in any order."""
    return sorted(map(_bytes, former)) == sorted(map(_bytes, items))


def _bytes(item: Any) -> bytes:
    try:
        return json.dumps(item, ensure_ascii=False, sort_keys=True).encode(errors="backslashreplace")
    except RecursionError:
        return b"(nested too deeply to be shown)"
