"""The header of an INMET station file: eight lines about the station, then the names of the columns.

Three layouts (to 2018, 2019, from 2020) spell the names differently. Each name also states its unit, which is checked,
because a number has no meaning without it. Columns are found by their names, in any order.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from foundation.errors import InvalidContent

LINES = 9
"""Lines of the header: eight of metadata and the names of the columns."""

# An accented letter may arrive as itself, as `?`, plain, or as two characters of a wrong decoding: `.{1,2}`.
_METADATA = [
    re.compile(pattern)
    for pattern in (
        "REGI",
        "UF",
        "ESTA",
        "C.{1,2}DIGO",
        # These three have no unit in their names: they are in degrees and metres. A name with a unit would mean another
        # quantity.
        r"LATITUDE\s*:?",
        r"LONGITUDE\s*:?",
        r"ALTITUDE\s*(?:\(M\))?\s*:?",
        "DATA DE FUNDA",
    )
]
_WHOLE_KEYS = range(4, 7)

# Upper case and without accents. The signs of degree and square are written correctly, as plain letters (`oC`, `m2`),
# or as the result of wrong decodings: `?`, `Â°`, `∞`, `≤`.
_SIGN = r"[^A-Z0-9\s()]{1,2}"
_CELSIUS = rf"(?:A?O|A?°|{_SIGN})? ?C"
_KILOJOULES = rf"KJ/M(?:[A^]?2|{_SIGN})"
_DEGREES = rf"(?:(?:A?O|A?°|{_SIGN}|GRAUS?)? ?\(?GR\)?|°|GRAUS?)"


@dataclass(frozen=True)
class _Column:
    """One column of the file.

    Attributes:
        name: as INMET writes it today.
        pattern: how the name begins, upper case and without accents.
        unit: as it is shown; None for the two columns that have none.
        units: what the unit in the name must match: the same unit in each of its spellings.
        is_required: false for the extremes within the hour, which are not used in computations.
    """

    name: str
    pattern: str
    unit: str | None = None
    units: str = ""
    is_required: bool = True


COLUMNS = (
    _Column("Data", r"DATA\b"),
    # Both real spellings contain UTC. Otherwise hours of another time zone would silently be read as UTC.
    _Column("Hora UTC", r"HORA\s+\(?UTC\)?\s*$"),
    _Column("PRECIPITAÇÃO TOTAL, HORÁRIO", "PRECIPITA", "mm", "MM"),
    _Column("PRESSAO ATMOSFERICA AO NIVEL DA ESTACAO", "PRESS.{1,2}O ATMOSF.{1,2}RICA AO NIVEL", "mB", "MB|HPA"),
    _Column("PRESSÃO ATMOSFERICA MAX.", "PRESS.{1,2}O ATMOSF.{1,2}RICA MAX", "mB", "MB|HPA", is_required=False),
    _Column("PRESSÃO ATMOSFERICA MIN.", "PRESS.{1,2}O ATMOSF.{1,2}RICA MIN", "mB", "MB|HPA", is_required=False),
    _Column("RADIACAO GLOBAL", "RADIA.{2,4}O GLOBAL", "kJ/m²", _KILOJOULES),
    _Column("TEMPERATURA DO AR - BULBO SECO", "TEMPERATURA DO AR - BULBO SECO", "°C", _CELSIUS),
    _Column("TEMPERATURA DO PONTO DE ORVALHO", "TEMPERATURA DO PONTO DE ORVALHO", "°C", _CELSIUS),
    _Column("TEMPERATURA MÁXIMA", "TEMPERATURA M.{1,2}XIMA", "°C", _CELSIUS),
    _Column("TEMPERATURA MÍNIMA", "TEMPERATURA M.{1,2}NIMA", "°C", _CELSIUS),
    _Column("TEMPERATURA ORVALHO MAX.", "TEMPERATURA ORVALHO MAX", "°C", _CELSIUS, is_required=False),
    _Column("TEMPERATURA ORVALHO MIN.", "TEMPERATURA ORVALHO MIN", "°C", _CELSIUS, is_required=False),
    _Column("UMIDADE REL. MAX.", "UMIDADE REL. MAX", "%", "%", is_required=False),
    _Column("UMIDADE REL. MIN.", "UMIDADE REL. MIN", "%", "%", is_required=False),
    _Column("UMIDADE RELATIVA DO AR", "UMIDADE RELATIVA DO AR", "%", "%"),
    _Column("VENTO, DIREÇÃO", "VENTO, DIRE", "gr", _DEGREES),
    _Column("VENTO, RAJADA MAXIMA", "VENTO, RAJADA", "m/s", "M/S"),
    _Column("VENTO, VELOCIDADE", "VENTO, VELOCIDADE", "m/s", "M/S"),
)


@dataclass(frozen=True)
class Header:
    """The content of the nine lines.

    Attributes:
        metadata: region, state, name, code, latitude, longitude, altitude, founding day, as written.
        fields: number of fields of each row; real files end every line with `;`, so the last field is always empty.
        places: the index of each of COLUMNS in a row; None for an optional one that is absent.
        notes: columns that nobody declared, and optional ones that are missing.
    """

    encoding: str
    metadata: Sequence[str]
    fields: int
    places: Sequence[int | None]
    notes: tuple[str, ...]


def read(head: Sequence[bytes]) -> Header:
    """The first LINES lines. Raises: InvalidContent when they are not a station file's."""
    # Declared latin-1, but copies by others may be UTF-8; decoding UTF-8 as latin-1 would never fail.
    raw = b"\n".join(head)
    try:
        text, encoding = raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = raw.decode("latin-1"), "latin-1"
    lines = text.split("\n")
    if len(lines) < LINES:
        raise InvalidContent(f"not a station file: {len(lines)} lines; it needs 8 of metadata and a header")
    metadata = [_metadata(number, line) for number, line in enumerate(lines[: LINES - 1])]
    if not metadata[3].strip():
        raise InvalidContent("the station file names no station code")
    names = lines[LINES - 1].split(";")
    places, notes = _places(names)
    return Header(encoding, metadata, len(names), places, notes)


def _metadata(number: int, line: str) -> str:
    """The value of one metadata line."""
    key, _, value = line.partition(";")
    pattern, folded = _METADATA[number], _folded(key)
    if not (pattern.fullmatch(folded) if number in _WHOLE_KEYS else pattern.match(folded)):
        raise InvalidContent(f"not a station file: {key[:40]!r} where {pattern.pattern!r} must stand")
    return value.split(";")[0]


def _places(names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...]]:
    """The index of each column, and notes. Raises: InvalidContent, naming the columns."""
    found: dict[_Column, int] = {}
    unknown = []
    for place, name in enumerate(names):
        column = next((each for each in COLUMNS if re.match(each.pattern, _folded(name))), None)
        if column is None:
            if name.strip():
                unknown.append(repr(name.strip()[:60]))
            continue
        if column in found:
            raise InvalidContent(f"column {column.name!r} stands twice")
        _check_unit(column, name)
        found[column] = place
    missing = [column for column in COLUMNS if column not in found]
    if required := [repr(column.name) for column in missing if column.is_required]:
        there = (
            f"what stands there and is not known: {', '.join(unknown)}" if unknown else "no unknown one stands there"
        )
        raise InvalidContent(f"no column {', '.join(required)}; {there}"[:400])
    notes = [f"no column {column.name!r}: its values are null" for column in missing]
    if unknown:
        notes.append(f"columns nobody declared: {', '.join(unknown)[:200]}")
    return [found.get(column) for column in COLUMNS], tuple(notes)


def _check_unit(column: _Column, name: str) -> None:
    if column.unit is None:
        return
    unit = _unit(name.strip())
    if unit is None:
        raise InvalidContent(f"column {name.strip()[:60]!r} states no unit; expected {column.unit!r}")
    if not re.fullmatch(column.units, _folded(unit)):
        raise InvalidContent(f"column {name.strip()[:60]!r} is in {unit!r}, not in {column.unit!r}")


def _unit(name: str) -> str | None:
    """The text in the last parentheses: `m/s`, or `° (gr)` of `(gr) (° (gr))`."""
    if not name.endswith(")"):
        return None
    depth = 0
    for place in range(len(name) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(name[place], 0)
        if depth == 0:
            return name[place + 1 : -1].strip()
    return None


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).upper()
