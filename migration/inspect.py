"""Look at a file of the legacy system, and propose the mapping by which it could be migrated."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from foundation import quoting
from foundation.errors import InvalidContent, UsageError
from migration.survey import Proposal, Survey, propose
from producers.archive import read_blocks
from producers.formats import csv_rows
from producers.formats.lines import LineReader
from producers.formats.quoted import Quoting
from producers.legacy import sqlite_file
from producers.legacy.mapping import DATASET_PREFIX, OWN_FIELDS, ROW, Column, Encoding, Mapping
from producers.legacy.parser import names_in
from producers.model import CHUNK_ROWS
from producers.withdrawals import Keys

DELIMITERS = ",;\t|"
_SQLITE_MAGIC = b"SQLite format 3\0"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Found:
    """What is in a file.

    Attributes:
        rows: rows that could be cut into cells; bad_rows: the others, which become rejects.
        duplicates: rows that repeat another one in every value.
        not_utf8: lines whose bytes are not UTF-8; 0 of a SQLite file.
        columns: one survey and proposal per column, in the file's order.
        notes: what else to look at.
    """

    mapping: Mapping
    rows: int
    bad_rows: int
    duplicates: int
    not_utf8: int
    columns: Sequence[tuple[Survey, Proposal]]
    notes: tuple[str, ...] = ()


@dataclass
class _Seen:
    """Counts over all blocks of a file."""

    surveys: list[Survey]
    rows: int = 0
    keys: Keys = field(default_factory=Keys)

    def add(self, columns: Sequence[pa.Array]) -> None:
        count = len(columns[0]) if columns else 0
        self.rows += count
        for survey, column in zip(self.surveys, columns, strict=True):
            found = pc.value_counts(column)
            survey.see(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))
        whole = pc.binary_join_element_wise(*(pc.fill_null(column, "\0") for column in columns), "\x1f")
        self.keys.add("rows", whole.cast(pa.binary()).to_pylist())

    @property
    def duplicates(self) -> int:
        return self.rows - self.keys.distinct()


def is_sqlite(file: Path) -> bool:
    """Whether a file says that it is a SQLite database. Raises: UsageError when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None


def tables(file: Path) -> list[tuple[str, str, int | None]]:
    """Name, kind and rows of every table and view of a SQLite file; a view has no rows of its own."""
    with sqlite_file.opened(file) as connection:
        found = []
        for name, kind in sqlite_file.names(connection).items():
            count = f"SELECT count(*) FROM {quoting.quoted(name)}"
            found.append((name, kind, connection.execute(count).fetchone()[0] if kind == "table" else None))
        return sorted(found)


def inspect(file: Path, table: str | None = None) -> Found:
    """Read a file to its end, and propose its mapping.

    Raises: UsageError, UnsafeState, InvalidContent: it is damaged, has no such table, or no header.
    """
    return _sqlite(file, table) if is_sqlite(file) else _csv(file)


def _sqlite(file: Path, table: str | None) -> Found:
    with sqlite_file.opened(file) as connection:
        if table is None:
            there = [name for name, kind in sqlite_file.names(connection).items() if kind == "table"]
            if len(there) != 1:
                raise UsageError(
                    f"{file} has {len(there)} tables: {', '.join(sorted(there))}",
                    hint=f"correnteza migrate inspect {file} --table {sorted(there)[0] if there else 'NAME'}",
                )
            (table,) = there
        shape = sqlite_file.shape(connection, table)
        seen = _Seen([Survey(name, declared) for name, declared in shape.columns])
        for block in _blocks(texts for _, texts in sqlite_file.rows(connection, shape)):
            seen.add(block)
    notes = [f"{name!r} is a generated column: its values are kept" for name in shape.generated]
    if shape.row_id is None:
        notes.append("the table is WITHOUT ROWID: rows are numbered in the order of its primary key")
    fields = _fields(shape.columns)
    key = tuple(fields[name] for name in shape.key) if shape.row_id is None else (ROW,)
    return _found(seen, file, kind="sqlite", table=table, key=key, notes=notes)


def _blocks(rows: Iterable[tuple[str | None, ...]]) -> Iterator[list[pa.Array]]:
    block: list[tuple[str | None, ...]] = []
    for row in rows:
        block.append(row)
        if len(block) == CHUNK_ROWS:
            yield [pa.array(column, pa.string()) for column in zip(*block, strict=True)]
            block = []
    if block:
        yield [pa.array(column, pa.string()) for column in zip(*block, strict=True)]


def _csv(file: Path) -> Found:
    with file.open("rb") as opened:
        head = opened.read(4)
    if head.startswith(_UTF16):
        raw = codecs.iterdecode(read_blocks(file), "utf-16")
        blocks: Iterator[bytes] = (text.encode() for text in raw)
        found = _of_lines(file, blocks, "utf-16", 0)
    else:
        not_utf8, of_them = _not_utf8(file)
        encoding: Encoding = "utf-8" if not_utf8 <= of_them / 2 else "cp1252"
        found = _of_lines(file, read_blocks(file), encoding, not_utf8)
    return found


def _not_utf8(file: Path) -> tuple[int, int]:
    """Lines that are not UTF-8, and lines that hold any letter beyond ASCII."""
    bad = beyond = 0
    for chunk in LineReader(read_blocks(file)).chunks(CHUNK_ROWS):
        for line in chunk.lines:
            if b"\0" in line:
                raise InvalidContent(
                    "the file holds zero bytes: it may be UTF-16 without its mark",
                    hint=f"iconv -f UTF-16LE -t UTF-8 {file} > utf8.csv",
                )
            if not line.isascii():
                beyond += 1
                try:
                    line.decode()
                except UnicodeDecodeError:
                    bad += 1
    return bad, beyond


def _of_lines(file: Path, blocks: Iterator[bytes], encoding: Encoding, not_utf8: int) -> Found:
    line_encoding = "utf-8" if encoding == "utf-16" else encoding
    reader = LineReader(blocks)
    first = reader.header(1)
    if not first:
        raise InvalidContent(f"{file} is empty")
    title = first[0].decode(line_encoding, errors="replace")
    delimiter = max(DELIMITERS, key=title.count)
    names = names_in(title, delimiter)
    seen, bad = _Seen([Survey(name) for name in names]), 0
    for chunk in reader.chunks(CHUNK_ROWS, quoting=Quoting(delimiter, len(names))):
        rows = csv_rows.read(chunk, fields=len(names), delimiter=delimiter, encoding=line_encoding)
        bad += len(rows.bad)
        if len(rows.positions):
            seen.add(rows.columns)
    notes = [f"{bad} lines are no row of {len(names)} cells in {encoding}"] if bad else []
    if len(names) == 1:
        notes.append(f"one column only: is the delimiter none of {' '.join(map(repr, DELIMITERS))}?")
    return _found(
        seen, file, kind="csv", encoding=encoding, delimiter=delimiter, bad=bad, not_utf8=not_utf8, notes=notes
    )


def _fields(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Column → field: ASCII, digits and `_`, small letters, each once, none of our own."""
    found: dict[str, str] = {}
    for number, (name, _) in enumerate(columns):
        folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        plain = re.sub(r"[^a-z0-9_]+", "_", folded).strip("_")[:100] or f"column_{number + 1}"
        plain = plain if re.match(r"[a-z_]", plain) else f"c_{plain}"
        while plain in found.values() or plain in OWN_FIELDS or plain in _TAKEN:
            plain = f"{plain}_{number + 1}"
        found[name] = plain
    return found


_TAKEN = {"published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number", "known_from", "version_hash"}
_TAKEN |= {"kafka_partition", "kafka_offset", "is_withdrawn", "message_key"}


def _found(
    seen: _Seen,
    file: Path,
    *,
    kind: str,
    table: str | None = None,
    encoding: Encoding = "utf-8",
    delimiter: str = ",",
    key: tuple[str, ...] = (ROW,),
    bad: int = 0,
    not_utf8: int = 0,
    notes: Sequence[str] = (),
) -> Found:
    fields = _fields((survey.name, survey.declared) for survey in seen.surveys)
    proposals = [propose(survey) for survey in seen.surveys]
    columns = tuple(
        Column(
            name=survey.name,
            field=fields[survey.name],
            type=proposal.type,
            forms=proposal.forms,
            nulls=("", *sorted(word for word in survey.nulls if word))
            if proposal.type != "text"
            else _text_nulls(kind),
        )
        for survey, proposal in zip(seen.surveys, proposals, strict=True)
    )
    name = table or file.stem
    days = [column.field for column in columns if column.kind in {"day", "instant"}]
    mapping = Mapping(
        dataset=DATASET_PREFIX + next(iter(_fields([(_snake(name), "")]).values()))[:55].removeprefix(DATASET_PREFIX),
        name=name,
        kind=kind,  # type: ignore[arg-type]
        table=table,
        encoding=encoding,
        delimiter=delimiter,
        key=key,
        day=days[0] if days else None,
        columns=columns,
    )
    surveyed = list(zip(seen.surveys, proposals, strict=True))
    return Found(mapping, seen.rows, bad, seen.duplicates, not_utf8, surveyed, tuple(notes))


def _snake(name: str) -> str:
    """`ClimaSalvador` → `Clima_Salvador`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _text_nulls(kind: str) -> tuple[str, ...]:
    """SQLite tells an empty text from null; a CSV file cannot."""
    return () if kind == "sqlite" else ("",)
