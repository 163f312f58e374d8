"""A CSV's header line: its encoding and delimiter, its columns' names, and messages about missing and unknown ones."""

import csv
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from foundation.errors import InvalidContent

_SHOWN = 200


@dataclass(frozen=True)
class HeaderLine:
    """A file's first line: encoding, delimiter, and the columns' names as published and folded."""

    delimiter: str
    encoding: str
    names: tuple[str, ...]
    folded: tuple[str, ...]


def header_line(lines: list[bytes]) -> HeaderLine:
    """The first line, which may be absent. Raises: InvalidContent."""
    line = lines[0] if lines else b""
    try:
        text, encoding = line.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        # A file that is not UTF-8 was written by Windows: cp1252 is latin-1 with dashes and quotes in place of control
        # characters.
        text, encoding = line.decode("cp1252", errors="replace"), "cp1252"
    delimiter = ";" if text.count(";") >= text.count(",") else ","
    try:
        # The reader would treat a lone CR as the end of a line.
        names = next(csv.reader([text.replace("\r", " ")], delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidContent(f"not a header: {error}") from None
    plain = tuple(folded(name) for name in names)
    if twice := sorted({name for name in plain if plain.count(name) > 1}):
        raise InvalidContent(f"a column stands twice in the header: {listed(twice)}")
    return HeaderLine(delimiter, encoding, tuple(name.strip() for name in names), plain)


def folded(name: str) -> str:
    """A column's name without accents, quotes, outer blanks and capitals."""
    decomposed = unicodedata.normalize("NFKD", name.strip().strip('"'))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower()


def listed(names: Iterable[str]) -> str:
    """Names for a message; long names from hostile bytes are cut."""
    return ", ".join(repr(name) for name in names)[:_SHOWN]


def refuse_lacking(expected: Iterable[str], header: HeaderLine, unknown: Iterable[str]) -> None:
    """Raises: InvalidContent when expected columns are not in the header.

    The error names them, and the unknown columns, because one of those may be a new name of a missing one.

    Args:
        expected: folded names; if a name has several spellings, all of them with `|` between.
        unknown: names as published.
    """
    missing = [name for name in expected if not set(name.split("|")) & set(header.folded)]
    if missing:
        standing = listed(unknown) or "none"
        raise InvalidContent(
            f"the header lacks the columns {listed(missing)}; unknown ones that stand there: {standing}"
        )


def unknown_columns(unknown: Iterable[str]) -> tuple[str, ...]:
    """For `Parsed.notes`: undeclared columns, if there are any."""
    return (f"undeclared columns: {found}",) if (found := ", ".join(unknown)[:_SHOWN]) else ()


def absent_columns(fields: Iterable[str]) -> tuple[str, ...]:
    """For `Parsed.notes`: fields whose columns may be absent, and are."""
    return (f"absent columns, null here: {found}",) if (found := ", ".join(sorted(fields))[:_SHOWN]) else ()
