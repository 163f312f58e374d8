"""SIDRA's flat cells. The header's texts name the dimensions, because their order follows the request."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from foundation.errors import InvalidContent
from producers.formats import json_rows, values
from producers.model import BadValueError

FIELDS = (
    "territory_level",
    "territory_code",
    "territory_name",
    "variable_code",
    "variable_name",
    "period_code",
    "period_name",
    "classifications",
    "unit_name",
    "value",
    "value_symbol",
)
SYMBOLS = frozenset({"...", "..", "-", "X"})
"""Symbols in place of a number: not available, not applicable, exactly zero, withheld."""

_ALWAYS = ("NC", "NN", "MN", "V")
_KNOWN = (*_ALWAYS, "MC")
_VARIABLE = "Variável"
_PERIODS = frozenset({"Ano", "Semestre", "Trimestre", "Trimestre Móvel", "Bimestre", "Mês"})
# The body has only the name of a classification; its code is in the request.
_CLASSIFICATIONS = {"Geral, grupo, subgrupo, item e subitem": "315", "Setores e subsetores": "11255"}
_DIMENSION = re.compile(r"D([0-9]{1,2})[CN]")
_VALUE = values.decimal(38, 13)


def items(body: bytes) -> tuple[Mapping[str, Any], list[Any]]:
    """The header, and the cells below it. Raises: InvalidContent when the body is not an array that begins with a
    header."""
    loaded = json_rows.load(body)
    if not isinstance(loaded, list):
        raise InvalidContent(f"not a JSON array: {str(loaded)[:200]}")
    header = loaded[0] if loaded else None
    if not isinstance(header, dict) or not all(isinstance(text, str) for text in header.values()):
        raise InvalidContent("no header as its first element")
    if lacking := [name for name in _ALWAYS if name not in header]:
        raise InvalidContent(f"its first element is not a header: it lacks {', '.join(lacking)}{_standing(header)}")
    if header["V"] != "Valor":
        raise InvalidContent(f"its first element is not a header: V is {header['V'][:100]!r}, not 'Valor'")
    return header, loaded[1:]


def _standing(header: Mapping[str, str]) -> str:
    """The end of an error message: the unknown keys, one of which may be the new name of a missing one."""
    unknown = sorted(key for key in header if key not in _KNOWN and not _DIMENSION.fullmatch(key))
    return f"; unknown keys that stand there: {', '.join(unknown)[:200]}" if unknown else ""


@dataclass(frozen=True)
class Layout:
    """The numbers of the dimensions in one body.

    Attributes:
        territory, variable, period: as in `D1C`, `D1N`.
        classifications: (code of the classification, number), in order of codes.
        notes: what is odd about the body as a whole.
    """

    PERIOD: ClassVar[int] = FIELDS.index("period_code")

    territory: str
    variable: str
    period: str
    classifications: Sequence[tuple[str, str]]
    notes: tuple[str, ...]

    def read(self, cell: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values of FIELDS. Raises: BadValueError."""
        categories = [f"{code}:{json_rows.required_text(cell, f'D{number}C')}" for code, number in self.classifications]
        shown = json_rows.required_text(cell, "V")
        symbol = shown if shown in SYMBOLS else None
        return (
            json_rows.required_text(cell, "NC"),
            json_rows.required_text(cell, f"D{self.territory}C"),
            json_rows.text(cell, f"D{self.territory}N").strip(),
            json_rows.required_text(cell, f"D{self.variable}C"),
            json_rows.text(cell, f"D{self.variable}N").strip(),
            json_rows.required_text(cell, f"D{self.period}C"),
            json_rows.text(cell, f"D{self.period}N").strip(),
            ",".join(categories),
            values.text(json_rows.text(cell, "MN")),
            None if symbol else _VALUE(shown),
            symbol,
        )


def layout(header: Mapping[str, str], cells: Sequence[Any]) -> Layout:
    """The layout by the texts of a header.

    The header names the territory's dimension by its level ("Brasil", "Município"), the same word that every cell has
    in `NN`.

    Raises: InvalidContent, naming what the header lacks.
    """
    names = _dimensions(header)
    variable = _only(names, f"variable ({_VARIABLE!r})", (name for name in names.values() if name == _VARIABLE))
    periods = ", ".join(map(repr, sorted(_PERIODS)))
    period = _only(names, f"period ({periods})", (name for name in names.values() if name in _PERIODS))
    rest = {number: name for number, name in names.items() if number not in {variable, period}}
    levels = [cell["NN"] for cell in cells if isinstance(cell, dict) and isinstance(cell.get("NN"), str)]
    level = levels[0] if levels else ""
    territory = _only(rest, f"territory ({level!r})", _territories(rest, level))
    coded = [(_CLASSIFICATIONS.get(name, name), number) for number, name in rest.items() if number != territory]
    return Layout(territory, variable, period, sorted(coded, key=_by_code), _notes(header, coded, cells))


def _dimensions(header: Mapping[str, str]) -> dict[str, str]:
    """Number → name of every dimension. Raises: InvalidContent for one that has no name, or only a name."""
    numbers = sorted({match[1] for key in header if (match := _DIMENSION.fullmatch(key))}, key=int)
    pairs = (f"D{number}{kind}" for number in numbers for kind in "CN")
    if lacking := [key for key in pairs if key not in header]:
        raise InvalidContent(
            f"codes without names, or names without codes (remove /f/ from the request): it lacks"
            f" {', '.join(lacking)}{_standing(header)}"
        )
    try:
        return {number: json_rows.required_text(header, f"D{number}N") for number in numbers}
    except BadValueError as error:
        raise InvalidContent(f"header: {error}") from None


def _territories(names: Mapping[str, str], level: str) -> Iterable[str]:
    """The dimensions that have the level's name; a dimension of several levels has all their names ("Brasil e
    Município")."""
    return [name for name in names.values() if name == level] or [
        name for name in list(names.values())[:1] if level in name
    ]


def _only(names: Mapping[str, str], what: str, found: Iterable[str]) -> str:
    chosen = list(found)
    if len(chosen) != 1:
        shown = ", ".join(names.values())[:200]
        raise InvalidContent(f"{len(chosen)} dimensions of the header are the {what}; expected one: {shown}")
    return next(number for number, name in names.items() if name == chosen[0])


def _by_code(pair: tuple[str, str]) -> tuple[int, str]:
    code = pair[0]
    return (int(code), "") if code.isdecimal() else (1 << 31, code)


def _notes(
    header: Mapping[str, str], classifications: Sequence[tuple[str, str]], cells: Sequence[Any]
) -> tuple[str, ...]:
    known = {*_KNOWN, *(key for key in header if _DIMENSION.fullmatch(key))}
    found = [
        *json_rows.unknown_fields([header], known),
        *(
            f"a classification nobody declared stands by its name: {code[:100]}"
            for code, _ in classifications
            if not code.isdecimal()
        ),
    ]
    if cells and all(isinstance(cell, dict) and cell.get("V") == ".." for cell in cells):
        # SIDRA answers a request without matching cells with status 200 and this.
        found.append("every value is '..': the question fits no cell of the table; is a classification missing?")
    return tuple(found)
