"""SQLite files, read and never written: every value as text with all its digits, in bounded memory.

A file that nobody writes is opened as immutable, so that SQLite makes no file beside it. One with a write-ahead log or
a rollback journal may be in use, or was left by a program that was killed. Then file and journal are copied, SQLite
recovers the copy, and if either changed meanwhile the file is refused.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from foundation.errors import UnsafeState, UsageError
from foundation.quoting import quoted
from producers.legacy import copy_text
from producers.legacy.mapping import ROW

MOST_CELL_BYTES = 64 << 20
"""Longest value that SQLite hands out here; a table with a longer one is refused."""

BLOCK_ROWS = 2_000
_JOURNALS = ("-wal", "-journal")


@dataclass(frozen=True)
class TableShape:
    """What the schema says of one table.

    Attributes:
        columns: (name, declared type), generated columns too.
        generated: names of those that SQLite computes.
        order: SQL by which the rows have a fixed order.
        row_id: SQL of the row's number; None where the table has none and its place is counted.
        key: columns of the primary key.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    generated: tuple[str, ...]
    order: str
    row_id: str | None
    key: tuple[str, ...]


def digest(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads the committed state of a file; the file and what stands beside it stay as they are.

    Raises: UsageError for what is no SQLite database; UnsafeState when it is damaged, or changes while it is read.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    beside = [Path(f"{file}{ending}") for ending in _JOURNALS]
    if not any(_size(each) for each in beside):
        before = _stamp(file)
        with closing(_connect(file, "immutable=1")) as connection:
            yield connection
        _refuse_changed(file, before, [file, *beside])
        return
    with tempfile.TemporaryDirectory(prefix="correnteza-legacy-") as folder:
        copy = Path(folder) / "copy.db"
        before = _stamp(file, *beside)
        shutil.copyfile(file, copy)
        for each, ending in zip(beside, _JOURNALS, strict=True):
            if each.exists():
                shutil.copyfile(each, f"{copy}{ending}")
        _refuse_changed(file, before, [file, *beside])
        with closing(_connect(copy, None)) as connection:
            yield connection


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _stamp(*files: Path) -> list[tuple[int, int] | None]:
    stats = [file.stat() if file.exists() else None for file in files]
    return [(stat.st_size, stat.st_mtime_ns) if stat else None for stat in stats]


def _refuse_changed(file: Path, before: list[tuple[int, int] | None], files: list[Path]) -> None:
    now = _stamp(*files[: len(before)])
    if now != before or (len(before) == 1 and any(_size(each) for each in files[1:])):
        raise UnsafeState(
            f"{file} was written to while it was read", hint="stop the program that writes to it, or read a copy"
        )


def _connect(file: Path, option: str | None) -> sqlite3.Connection:
    # A copy is opened for writing: only so SQLite can play its journal back.
    uri = f"file:{quote(str(file.resolve()))}?" + (f"mode=ro&{option}" if option else "mode=rw")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_CELL_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.text_factory = _Text
        # Functions of the file's own schema, in views and generated columns, get nothing that could reach out.
        connection.execute("PRAGMA trusted_schema = OFF")
        found = connection.execute("PRAGMA quick_check(5)").fetchall()
    except sqlite3.DatabaseError as error:
        connection.close()
        if "file is not a database" in str(error):
            raise UsageError(f"{file.name} is no SQLite database") from error
        raise _damaged(file, str(error)) from error
    problems = [row[0].decode(errors="replace") for row in found if row[0] != b"ok"]
    if problems:
        connection.close()
        raise _damaged(file, "; ".join(problems).replace("\n", " ")[:300])
    return connection


def _damaged(file: Path, why: str) -> UnsafeState:
    return UnsafeState(
        f"{file.name} is damaged: {why}", hint=f"sqlite3 {file.name} .recover | sqlite3 recovered.db, and read that"
    )


def names(connection: sqlite3.Connection) -> dict[str, str]:
    """Tables and views by name, with `table`, `view` or `virtual`; SQLite's own are left out."""
    rows = connection.execute("SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'view')")
    found = {}
    for name, kind, sql in rows:
        text = name.decode(errors="replace")
        if not text.startswith("sqlite_"):
            virtual = sql.lstrip().upper().startswith(b"CREATE VIRTUAL")
            found[text] = "virtual" if virtual else kind.decode()
    return found


def shape(connection: sqlite3.Connection, table: str) -> TableShape:
    """What the schema says of a table. Raises: UsageError when there is none of that name, or it is none."""
    there = names(connection)
    if table not in there:
        tables = ", ".join(sorted(name for name, kind in there.items() if kind == "table"))
        raise UsageError(f"the file has no table {table!r}", hint=f"one of: {tables or 'it has none'}")
    if there[table] != "table":
        raise UsageError(
            f"{table!r} is no table but {there[table]}: it holds no rows of its own",
            hint="migrate the tables that it reads",
        )
    rows = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    columns = tuple((row[1].decode(), row[2].decode()) for row in rows if row[6] != 1)
    generated = tuple(row[1].decode() for row in rows if row[6] in (2, 3))
    key = tuple(row[1].decode() for row in sorted((row for row in rows if row[5]), key=lambda row: row[5]))
    row_id = _row_id(connection, table, [name for name, _ in columns])
    order = row_id or ", ".join(map(quoted, key))
    return TableShape(table, columns, generated, order, row_id, key)


def _row_id(connection: sqlite3.Connection, table: str, columns: list[str]) -> str | None:
    """The name by which the table's row ids are asked for; None of a table `WITHOUT ROWID`."""
    taken = {name.lower() for name in columns}
    for name in ("rowid", "oid", "_rowid_"):
        if name not in taken:
            try:
                connection.execute(f"SELECT {name} FROM {quoted(table)} LIMIT 0")
            except sqlite3.OperationalError:
                return None
            return name
    return None


def rows(connection: sqlite3.Connection, table: TableShape) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """(number, texts) of every row in order: whole numbers and doubles with all their digits, blobs as `blob` says.

    Text that is not UTF-8 is handed out as a blob. Raises: UnsafeState when a page is damaged or a value too long.
    """
    selected = ", ".join(quoted(name) for name, _ in table.columns)
    statement = f"SELECT {table.row_id or 'NULL'}, {selected} FROM {quoted(table.name)} ORDER BY {table.order or 1}"
    try:
        for place, (number, *values) in enumerate(connection.execute(statement)):
            yield place if number is None else number, tuple(map(_text, values))
    except sqlite3.DatabaseError as error:
        if "too big" in str(error):
            raise UnsafeState(
                f"table {table.name} has a row with more than {MOST_CELL_BYTES >> 20} MiB in one value",
                hint="take the large values out of a copy of the file, and migrate that",
            ) from error
        raise _damaged(Path(table.name), str(error)) from error


class _Text(bytes):
    """What SQLite holds as text, which tells it from a blob: its bytes may be no UTF-8."""


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, _Text):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return copy_text.blob(value)
    return copy_text.blob(value) if isinstance(value, bytes) else repr(value)


def extract(connection: sqlite3.Connection, table: TableShape) -> Iterator[bytes]:
    """The table in COPY format, in blocks of rows: a line with the columns' names, then one per row, its number first.

    The same rows are the same bytes: their SHA-256 names the payload.
    """
    yield line([ROW, *(name for name, _ in table.columns)])
    block: list[bytes] = []
    for number, texts in rows(connection, table):
        block.append(line([str(number), *texts]))
        if len(block) == BLOCK_ROWS or len(block[-1]) > (1 << 20):
            yield b"".join(block)
            block = []
    yield b"".join(block)


def line(cells: "list[str | None]") -> bytes:
    """One row as it is published: its number first, then its cells."""
    return "\t".join(map(copy_text.cell, cells)).encode() + b"\n"
