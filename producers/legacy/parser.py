"""The parser of migrated files: a CSV file as it is, or a SQLite table in COPY format, by a mapping."""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from foundation.errors import InvalidContent
from producers.formats import csv_rows
from producers.formats.columns import Typing, batch
from producers.formats.csv_header import listed
from producers.formats.lines import LineChunk, LineReader
from producers.formats.quoted import Quoting
from producers.legacy import copy_text, values
from producers.legacy.mapping import FILE, PROVENANCE, ROW, UNVERIFIED, Column, Mapping
from producers.model import CHUNK_ROWS, BadValueError, Parsed, Part, RejectReason
from schemas.arrow import arrow_schema
from schemas.contracts import Contract

_BOMS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16", codecs.BOM_UTF8: "UTF-8"}


def parse(
    mapping: Mapping,
    contract: Contract,
    blocks: Iterable[bytes],
    part: Part,
    *,
    first_row: int = 0,
    chunk_rows: int = CHUNK_ROWS,
) -> Iterator[Parsed]:
    """The rows of one file. Raises: InvalidContent when its header is not the mapping's."""
    reader = LineReader(as_utf8(blocks, mapping))
    names = header(mapping, reader.header(1))
    quoting = Quoting(mapping.delimiter, len(names)) if mapping.kind == "csv" else None
    reads = {column.field: cell_reader(mapping, column) for column in mapping.columns}
    places = {column.field: names.index(column.name) for column in mapping.columns}
    unread = [name for name in names if name not in {ROW, *(column.name for column in mapping.columns)}]
    notes = (f"columns that the mapping leaves out: {listed(unread)}",) if unread else ()
    is_empty = True
    for chunk in reader.chunks(chunk_rows, first_row=first_row, quoting=quoting):
        is_empty = False
        yield _chunk(mapping, contract, chunk, part, width=len(names), reads=reads, places=places, notes=notes)
    if is_empty:
        none = LineChunk(first_row, [])
        yield _chunk(mapping, contract, none, part, width=len(names), reads=reads, places=places, notes=notes)


def line_encoding(mapping: Mapping) -> str:
    """The encoding of the lines, once `as_utf8` has made text of two bytes a letter UTF-8."""
    return "utf-8" if mapping.kind == "sqlite" or mapping.encoding == "utf-16" else mapping.encoding


def line_delimiter(mapping: Mapping) -> str:
    """What stands between two cells of a line."""
    return "\t" if mapping.kind == "sqlite" else mapping.delimiter


def as_utf8(blocks: Iterable[bytes], mapping: Mapping) -> Iterator[bytes]:
    """The blocks; of a UTF-16 file, whose line ends are two bytes wide, as UTF-8. Raises: InvalidContent."""
    if mapping.kind == "sqlite" or mapping.encoding != "utf-16":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise InvalidContent(f"not UTF-16: {error}") from None


def header(mapping: Mapping, lines: list[bytes]) -> list[str]:
    """The names that the file's first line gives its columns. Raises: InvalidContent unless the mapping's are there."""
    line = lines[0] if lines else b""
    for mark, encoding in _BOMS.items():
        if line.startswith(mark) and line_encoding(mapping) == "utf-8":
            raise InvalidContent(f"the file is {encoding}, not {mapping.encoding}", hint="set encoding in the mapping")
    try:
        text = line.decode(line_encoding(mapping))
    except UnicodeDecodeError as error:
        raise InvalidContent(f"the header is not {mapping.encoding}: byte {error.start}") from None
    names = _archived_names(text) if mapping.kind == "sqlite" else names_in(text, mapping.delimiter)
    if missing := [column.name for column in mapping.columns if column.name not in names]:
        raise InvalidContent(
            f"the header lacks {listed(missing)}; with the delimiter {mapping.delimiter!r} it has {len(names)} columns:"
            f" {listed(names)}",
            hint="correnteza migrate inspect FILE",
        )
    return names


def names_in(header_line: str, delimiter: str) -> list[str]:
    """The names in the first line of a CSV file. Raises: InvalidContent when a name stands there twice, or none can."""
    if "\r" in header_line:  # all of the file is one line
        raise InvalidContent(
            "the lines end in lone carriage returns", hint="tr '\\r' '\\n' < OLD.csv > NEW.csv, and read that"
        )
    try:
        names = next(csv.reader(io.StringIO(header_line, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidContent(f"not a header: {error}") from None
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidContent(f"columns stand twice in the header: {listed(twice)}", hint="rename them in the file")
    return names


def _archived_names(line: str) -> list[str]:
    try:
        return [copy_text.uncell(cell) or "" for cell in line.split("\t")]
    except ValueError as error:
        raise InvalidContent(f"not the archived form of a table: {error}") from None


def cell_reader(mapping: Mapping, column: Column) -> Callable[[str], Any]:
    """A cell → its value; a null in the key is refused. Raises (the reader): BadValueError."""
    read = values.reader(column, mapping)
    if mapping.kind == "sqlite":
        read = partial(_uncelled, read)
    return partial(_required, read, column.field) if column.field in mapping.key else read


def _uncelled(read: values.Read, cell: str) -> Any:
    try:
        text = copy_text.uncell(cell)
    except ValueError as error:
        raise BadValueError(RejectReason.MALFORMED_ROW, str(error)) from None
    return None if text is None else read(text)


def _required(read: values.Read, field: str, text: str) -> Any:
    value = read(text)
    if value is None:
        raise BadValueError(RejectReason.MISSING_VALUE, f"{field} is part of the key, and null")
    return value


def _chunk(
    mapping: Mapping,
    contract: Contract,
    chunk: LineChunk,
    part: Part,
    *,
    width: int,
    reads: dict[str, Callable[[str], Any]],
    places: dict[str, int],
    notes: tuple[str, ...],
) -> Parsed:
    rows = csv_rows.read(chunk, fields=width, delimiter=line_delimiter(mapping), encoding=line_encoding(mapping))
    typing, schema = Typing(rows), arrow_schema(contract)
    numbers = typing.row_numbers
    columns = [
        pa.repeat(pa.scalar(part.key), len(typing)),
        numbers if mapping.kind == "csv" else typing.column(0, int, pa.int64()),
        *(typing.column(places[field], read, schema.field(field).type) for field, read in reads.items()),
        pa.repeat(pa.scalar(UNVERIFIED), len(typing)),
        numbers,
    ]
    names = (FILE, ROW, *reads, PROVENANCE, "row_number")
    records = batch(names, columns, schema).take(typing.good())
    rejects = tuple(typing.rejects(mapping.dataset))
    return Parsed(chunk.first_row, chunk.first_row + len(chunk.lines), {mapping.dataset: records}, rejects, notes)
