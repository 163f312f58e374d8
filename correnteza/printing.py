"""Query results on stdout: for people, as JSON, as CSV. Every column is printed exactly, or refused."""

import csv
import json
import math
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from foundation.errors import UsageError

_WIDEST_CELL = 80
"""Characters; a SHA-256 has 64. What is longer is cut in the table for people, and ends in an ellipsis."""

_NARROWEST_CELL = 8
"""Least number of characters of a column's texts; the terminal wraps a line that still does not fit."""


def as_json(table: pa.Table) -> str:
    """A JSON array of objects, one line each; dates, instants, intervals, decimals and NaN as text.

    Raises: UsageError when two columns have one name: an object cannot have two fields with the same name.
    """
    names = table.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"two columns are named {', '.join(twice)}", hint="give them different names with AS, or use --csv"
        )
    rows = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False) for row in _rows(table))
    return "[" + ",\n ".join(rows) + "]"


def as_csv(table: pa.Table) -> str:
    """CSV with a header; null is an empty field.

    A text that a spreadsheet would take for a formula has an apostrophe in front: one that begins with `=`, `+`, `-`,
    `@` (of any width), a tab or a line break, and is no number. Numbers and all other texts are exact.
    """
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=_Lines.END)
    writer.writerow([_harmless(name) for name in table.column_names])
    is_text = [
        pa.types.is_string(each.type)
        or pa.types.is_large_string(each.type)
        or pa.types.is_string_view(each.type)
        or pa.types.is_dictionary(each.type)
        for each in table.schema
    ]
    writer.writerows(
        [_harmless(_text(value)) if text else _text(value) for value, text in zip(row, is_text, strict=True)]
        for row in _rows(table)
    )
    return "\n".join(line.removesuffix(_Lines.END) for line in lines)


class _Lines(list[str]):
    """Receives the rows of a CSV writer. The writer quotes cells with a character of the line end."""

    END = "\r\n"

    def write(self, line: str) -> None:
        self.append(line)


_FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def _harmless(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def as_table(table: pa.Table, width: int | None = None) -> str:
    """Aligned columns, numbers to the right, and how many rows there are.

    Args:
        width: characters of a line; texts that do not fit are cut, and end in an ellipsis. None: nothing is cut.
    """
    names = [_cell(name) for name in table.column_names]
    rows = [[_cell(_text(value)) for value in row] for row in _rows(table)]
    is_number = [
        pa.types.is_integer(each.type) or pa.types.is_floating(each.type) or pa.types.is_decimal(each.type)
        for each in table.schema
    ]
    lines = aligned([names, *rows], [column for column, right in enumerate(is_number) if right], width)
    return "\n".join([lines, f"({table.num_rows} row{'' if table.num_rows == 1 else 's'})"])


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = (), width: int | None = None) -> str:
    """Lines of aligned cells, the first row being the header.

    Args:
        right: columns of numbers; they are right-aligned and never cut.
        width: characters of a line, as in `as_table`.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        widths = _fitting(widths, set(right), width)
    return "\n".join(
        "  ".join(
            cell.rjust(widths[column]) if column in right else _cut(cell, widths[column]).ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    )


def terminal_width() -> int | None:
    """The terminal's width in characters; None if stdout is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _fitting(widths: Sequence[int], fixed: Collection[int], width: int) -> list[int]:
    """Smaller widths, so that the line fits: the widest columns are cut first, and none below `_NARROWEST_CELL`."""
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > width:
        column = max((each for each in range(len(found)) if each not in fixed), key=found.__getitem__, default=None)
        if column is None or found[column] <= _NARROWEST_CELL:
            break
        found[column] -= 1
    return found


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def plain(value: Any) -> Any:
    """A value for JSON."""
    match value:
        case pa.MonthDayNano():
            found: Any = _interval(value)
        case dict():
            found = {_text(plain(name)): plain(each) for name, each in value.items()}
        case list() | tuple():
            found = [plain(each) for each in value]
        case bytes():
            found = value.hex()
        case datetime() if value.tzinfo is not None:
            found = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():  # a datetime without a zone, too
            found = value.isoformat()
        case Decimal():
            found = f"{value:f}"
        case float() if not math.isfinite(value):
            found = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case _:
            found = value
    return found


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Each row's values for JSON, by position, because a name may occur twice. Raises: UsageError, naming a column."""
    columns = [_values(name, column) for name, column in zip(table.column_names, table.itercolumns(), strict=True)]
    return zip(*columns, strict=True)


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    try:
        if (pa.types.is_timestamp(kind) or pa.types.is_time(kind)) and kind.bit_width == 64 and _unit(kind) == "ns":
            # Python's times have only microseconds.
            return [text and text.replace(" ", "T") for text in column.cast(pa.string()).to_pylist()]
        return [plain(value) for value in column.to_pylist(maps_as_pydicts="strict")]
    except (ValueError, OverflowError, KeyError, pa.ArrowException) as error:
        raise UsageError(
            f"column {name} holds a {kind} that cannot be printed as it is: {str(error)[:100]}",
            hint=f'print it as text: "{name}"::VARCHAR',
        ) from None


def _unit(kind: pa.DataType) -> str:
    return str(kind.unit)


def _interval(value: Any) -> str:
    """An interval as in SQL: `1 year 2 months 3 days 04:05:06.5`."""
    months, days, nanoseconds = value
    years = int(months / 12)
    counted = ((years, "year"), (months - years * 12, "month"), (days, "day"))
    parts = [f"{count} {unit}{'' if abs(count) == 1 else 's'}" for count, unit in counted if count]
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    if nanoseconds or not parts:
        sign = "-" if nanoseconds < 0 else ""
        clock = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        parts.append(f"{clock}.{fraction:09}".rstrip("0") if fraction else clock)
    return " ".join(parts)


def _text(found: Any) -> str:
    """A plain value as text; null is the empty text."""
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _cell(text: str) -> str:
    """A cell on one line, without control characters; a long text ends in an ellipsis."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return _cut(text, _WIDEST_CELL)
