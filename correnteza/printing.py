"""Query results on stdout: for people, as JSON, as CSV."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

_WIDEST_CELL = 60


def as_json(table: pa.Table) -> str:
    """A JSON array of objects, one line each; dates, instants and decimals as text."""
    rows = (json.dumps(_plain(row), ensure_ascii=False) for row in table.to_pylist())
    return "[" + ",\n ".join(rows) + "]"


def as_csv(table: pa.Table) -> str:
    """CSV with a header; null is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_text(value) for value in row.values()] for row in table.to_pylist())
    return buffer.getvalue().rstrip("\n")


def as_table(table: pa.Table) -> str:
    """Aligned columns, numbers to the right, and how many rows there are."""
    names = table.column_names
    rows = [[_text(value)[:_WIDEST_CELL] for value in row.values()] for row in table.to_pylist()]
    is_number = [
        pa.types.is_integer(each.type) or pa.types.is_floating(each.type) or pa.types.is_decimal(each.type)
        for each in table.schema
    ]
    widths = [max(len(row[column]) for row in (names, *rows)) for column in range(len(names))]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in (names, *rows)
    ]
    return "\n".join([*lines, f"({table.num_rows} row{'' if table.num_rows == 1 else 's'})"])


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    match value:
        case dict():
            plain: Any = {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            plain = [_plain(each) for each in value]
        case bytes():
            plain = value.hex()
        case datetime() if value.tzinfo is not None:
            plain = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():  # a datetime without a zone, too
            plain = value.isoformat()
        case Decimal():
            plain = f"{value:f}"
        case _:
            plain = value
    return plain


def _text(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
