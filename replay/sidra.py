"""IBGE's SIDRA, and its service of dates of change. The cells are recorded; the dates of change are invented.

October 2025 of the IPCA is absent on the first publication day and there from the second on, as it was recorded.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any

from replay.content import DATA, Reply

Cell = dict[str, str]

_VALUES = re.compile(r"values/t/(\d+)/n([16])/all/v/([\d,]+)/p/([\d,-]+|all)(?:/c(\d+)/([\d,]+))?")
_PERIODS = re.compile(r"servicodados\.ibge\.gov\.br/api/v3/agregados/(\d+)/periodos")
_LIMIT = 100_000
_LONGEST_PATH = 2_500
_BLOCKED = (
    b"<html><head><title>Request Rejected</title></head><body>The requested URL was rejected."
    b" Your support ID is: 0</body></html>"
)
_MONTHLY_RELEASE, _ARRIVES = 10, "202510"
# Table → (classification of the recorded question, dimension of the period, days from a period's end to its release).
_TABLES = {
    1737: (None, "D3", _MONTHLY_RELEASE),
    1736: (None, "D3", _MONTHLY_RELEASE),
    7062: ("315", "D4", -6),
    5938: (None, "D3", 715),
    6381: (None, "D3", 30),
    # Recorded without its classification, so that every value is `..`: a correct request finds no period here.
    5932: (None, "D3", 60),
    6579: (None, "D3", -124),
}
_LEVELS = {6579: "6"}
"""Level of territory of the recorded question, where it is not Brazil."""


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """The cells of recorded tables, or the dates on which their periods changed; None for any other path."""
    if match := _PERIODS.fullmatch(path):
        return Reply(200, _json(list(_changes(int(match[1]), day))))
    match = _VALUES.fullmatch(path)
    if match is None:
        return None
    if len(path) > _LONGEST_PATH:
        return Reply(200, _BLOCKED, "text/html")
    number, variables, periods, classification = int(match[1]), match[3].split(","), match[4], match[5]
    if number not in _TABLES or (_LEVELS.get(number, "1"), _TABLES[number][0]) != (match[2], classification):
        return Reply(400, f"Tabela {number}: sem dados gravados".encode(), "text/plain;charset=UTF-8")
    header, cells = recorded(number, day)
    period = _TABLES[number][1] + "C"
    asked = [cell for cell in cells if _is_asked(cell[period], periods) and _variable(header, cell) in variables]
    if len(asked) > _LIMIT:
        refusal = f"Quantidade de valores solicitados: {len(asked)} excedeu o limite: {_LIMIT}"
        return Reply(400, refusal.encode(), "text/plain;charset=UTF-8")
    return Reply(200, _json([header, *asked]))


def recorded(number: int, day: int) -> tuple[Cell, list[Cell]]:
    """The header and all cells of a table on a publication day."""
    if number == 1737:
        header, *cells = _load("ipca_20251110" if day == 1 else "ipca_20251111")
        # A few cells of other variables and years, recorded on another day: `...`, and an index of thirteen decimals.
        known = {(cell["D2C"], cell["D3C"]) for cell in cells}
        others = _load("subset_ipca_table1737_special_values")[1:]
        cells = cells + [cell for cell in others if (cell["D2C"], cell["D3C"]) not in known]
        return header, sorted(cells, key=lambda cell: (cell["D2C"], cell["D3C"]))
    if number == 6579:
        header, *cells = _load("built_population_capitals")
        return header, cells
    name = {1736: "inpc", 7062: "ipca15", 5938: "pib_annual", 5932: "pib_quarterly", 6381: "unemployment"}[number]
    header, *cells = _load(f"{name}_20251111")
    if number == 1736 and day == 1:  # released with the IPCA
        cells = [cell for cell in cells if cell["D3C"] != _ARRIVES]
    return header, cells


def _changes(number: int, day: int) -> Iterator[dict[str, Any]]:
    if number not in _TABLES or number == 5932:
        return
    period, lag = _TABLES[number][1:]
    names = {cell[f"{period}C"]: cell[f"{period}N"] for cell in recorded(number, day)[1]}
    for code in sorted(names):
        changed = date(2025, 11, 11) if lag == _MONTHLY_RELEASE and code == _ARRIVES else _end(code) + timedelta(lag)
        # No date of change is after the first publication day, except for the periods that appear on the second.
        changed = changed if code == _ARRIVES and lag == _MONTHLY_RELEASE else min(changed, date(2025, 11, 7))
        shown = "01/01/0001" if "1979" in code else f"{changed:%d/%m/%Y}"
        yield {"id": code, "literals": [names[code]], "modificacao": shown}


def _end(code: str) -> date:
    year, month = int(code[:4]), int(code[4:] or 12)
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _is_asked(code: str, periods: str) -> bool:
    for asked in periods.split(","):
        first, _, last = asked.partition("-")
        if asked == "all" or first <= code <= (last or first):
            return True
    return False


def _variable(header: Cell, cell: Cell) -> str:
    number = next(key[:2] for key, text in header.items() if text == "Variável")
    return cell[f"{number}C"]


@cache
def _load(name: str) -> list[Cell]:
    loaded: list[Cell] = json.loads((DATA / "sidra" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
