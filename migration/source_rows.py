"""The rows of a legacy file, read without the producers' parser: by `sqlite3`, or by Python's `csv`, row by row.

What it shares with the publishing of the rows is how a file is opened, where a row of a CSV file ends, and what a text
of a column means. How cells are cut, decoded, escaped, encoded and stored is not shared: `migrate verify` proves it.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from producers.archive import read_blocks
from producers.formats.lines import MAX_LINE, LineReader
from producers.formats.quoted import Quoting
from producers.legacy import parser, sqlite_file, values
from producers.legacy.mapping import Mapping
from producers.model import CHUNK_ROWS, BadValueError


@dataclass(frozen=True)
class SourceRow:
    """One row of the file.

    Attributes:
        position: 0-based, in the file's order. number: what `legacy_row` of it is.
        texts: the cells of the mapping's columns as they are written; None is a null of SQLite.
        values: the same as the mapping reads them; None for a row that must be a reject.
    """

    position: int
    number: int
    texts: tuple[str | None, ...]
    values: tuple[Any, ...] | None


def read(mapping: Mapping, file: Path) -> Iterator[SourceRow]:
    """Every row of a file. Raises: as `inspect`."""
    reads = [values.reader(column, mapping) for column in mapping.columns]
    in_key = [column.field in mapping.key for column in mapping.columns]
    for position, (number, texts) in enumerate(_texts(mapping, file)):
        yield SourceRow(position, number, texts or (), _values(texts, reads, in_key))


def _values(
    texts: tuple[str | None, ...] | None, reads: list[values.Read], in_key: list[bool]
) -> tuple[Any, ...] | None:
    if texts is None:
        return None
    try:
        found = tuple(None if text is None else read(text) for text, read in zip(texts, reads, strict=True))
    except BadValueError:
        return None
    if any(value is None and is_key for value, is_key in zip(found, in_key, strict=True)):
        return None
    if any(type(value) is int and not -(1 << 63) <= value < 1 << 63 for value in found):
        return None
    return found


def _texts(mapping: Mapping, file: Path) -> Iterator[tuple[int, tuple[str | None, ...] | None]]:
    """(number, cells) of each row; no cells where it cannot be cut into them."""
    if mapping.kind == "sqlite":
        assert mapping.table is not None
        with sqlite_file.opened(file) as connection:
            shape = sqlite_file.shape(connection, mapping.table)
            names = [name for name, _ in shape.columns]
            places = [names.index(column.name) for column in mapping.columns]
            for number, texts in sqlite_file.rows(connection, shape):
                # A row is published as one line, and a line has a greatest length.
                is_long = (
                    sum(len(text) for text in texts if text) > MAX_LINE // 4 and _line_bytes(number, texts) > MAX_LINE
                )
                yield number, None if is_long else tuple(texts[place] for place in places)
        return
    lines = LineReader(parser.as_utf8(read_blocks(file), mapping))
    names = parser.header(mapping, lines.header(1))
    places = [names.index(column.name) for column in mapping.columns]
    number = 0
    for chunk in lines.chunks(CHUNK_ROWS, quoting=Quoting(mapping.delimiter, len(names))):
        for line in chunk.lines:
            cells = _cells(line, mapping)
            is_row = cells is not None and len(cells) == len(names)
            yield number, tuple(cells[place] for place in places) if cells and is_row else None
            number += 1


def _line_bytes(number: int, texts: tuple[str | None, ...]) -> int:
    return len(sqlite_file.line([str(number), *texts])) - 1


# A cell may be as long as a line; the reader's own limit is shorter.
csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))


def _cells(line: bytes, mapping: Mapping) -> list[str] | None:
    if b"\r" in line or len(line) > MAX_LINE:
        return None
    try:
        text = line.decode(parser.line_encoding(mapping))
    except UnicodeDecodeError:
        return None
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter), None)
