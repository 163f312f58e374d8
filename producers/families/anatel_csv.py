"""What ANATEL's CSV files have in common: the header line, and codes."""

import csv
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foundation.errors import InvalidContent
from producers.formats import values

Read = Callable[[str], Any]
"""Text → value. Raises: BadValueError."""

_WHOLE_FLOAT = re.compile(r"\s*([0-9]+)\.0\s*")


@dataclass(frozen=True)
class HeaderLine:
    """A file's first line: how it is written, and its columns' names as published and folded."""

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
        # What is not UTF-8 was written by Windows: cp1252 is latin-1 with dashes and quotes where that has controls.
        text, encoding = line.decode("cp1252", errors="replace"), "cp1252"
    delimiter = ";" if text.count(";") >= text.count(",") else ","
    try:
        # A lone CR would be a second line to the reader.
        names = next(csv.reader([text.replace("\r", " ")], delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidContent(f"not a header: {error}") from None
    plain = tuple(folded(name) for name in names)
    if len(set(plain)) != len(plain):
        raise InvalidContent("a column stands twice in the header")
    return HeaderLine(delimiter, encoding, tuple(name.strip() for name in names), plain)


def folded(name: str) -> str:
    """A column's name without accents, quotes, outer blanks and capitals."""
    decomposed = unicodedata.normalize("NFKD", name.strip().strip('"'))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower()


def code(read: Read) -> Read:
    """The same reader, for a code that pandas may have made a float; no code of ANATEL's ends in `.0`.

    Without this the digit of the fraction would become one of the code: a CNPJ that also lost its leading zero would
    have 14 digits again, and other ones.
    """

    def checked(text: str) -> Any:
        match = _WHOLE_FLOAT.fullmatch(text)
        return read(match[1] if match else text)

    return checked


CNPJ = code(values.cnpj)
MUNICIPALITY = code(values.digits(7))
