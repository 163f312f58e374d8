"""The Banco Central's SGS: one-line JSON windows over recorded series, with the API's refusals."""

import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Any

from replay.content import DATA, Reply

# The recording was answered in the morning of these days: the dollar's closing rate of the day itself is not out yet.
_DAYS = {1: date(2025, 11, 10), 2: date(2025, 11, 11), 3: date(2025, 11, 12)}
_DAILY = {1, 432}
_LONGEST_DAILY_WINDOW = 10  # years


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """The series at `bcdata.sgs.{N}/dados`; None when the path is not of that form.

    The window's end is cut at the publication day: a poller requests days by its own clock, but the recording ends.
    """
    match = re.fullmatch(r"bcdata\.sgs\.(\d+)/dados", path)
    if match is None:
        return None
    code = int(match[1])
    try:
        first, last = (_day(query[name]) if name in query else None for name in ("dataInicial", "dataFinal"))
    except ValueError:
        return _error(400, "br.gov.bcb.pec.sgs.SGSNegocioException: Data inválida")
    if code in _DAILY and _is_too_long(first, last, _DAYS[day]):
        refusal = {
            "error": "O sistema aceita uma janela de consulta de, no máximo, 10 anos em séries de periodicidade diária",
            "message": "Not Acceptable",
            "syntax": "dados?formato=json&dataInicial=dd/mm/aaaa&dataFinal=dd/mm/aaaa",
        }
        return Reply(406, _json(refusal))
    found = [
        {"data": f"{on:%d/%m/%Y}", "valor": value}
        for on, value in values(code, day)
        if (first is None or on >= first) and (last is None or on <= last)
    ]
    if not found:
        return _error(404, "br.gov.bcb.pec.sgs.casosdeuso.comum.excecoes.SGSNegocioException: Value(s) not found")
    return Reply(200, _json(found))


@cache
def values(code: int, day: int) -> list[tuple[date, str]]:
    """All values of the series on that publication day, ascending; empty for a series that is not recorded."""
    today = _DAYS[day]
    if code == 1:
        return [(on, value) for on, value in _dollar() if on < today]
    if code == 432:
        recorded = _load("sgs/sgs_432_meta_selic_2015-01-01_2025-11-11_wrapped.json")["data"]
        return [(on, value) for on, value in _pairs(recorded) if on <= today]
    if code == 433:
        return _ipca("20251110" if day == 1 else "20251111")
    return []


def _dollar() -> list[tuple[date, str]]:
    """Series 1 as recorded to 31 October 2025, then the closing selling rates of PTAX, which it equals day by day."""
    recorded = _pairs(_load("sgs/sgs_1_usd_venda_2020-11-03_2025-10-31.json"))
    bulletins = _load("ptax/subset_ptax_usd_20251111.json")["value"]
    closings = {
        date.fromisoformat(bulletin["dataHoraCotacao"][:10]): f"{bulletin['cotacaoVenda']:.4f}"
        for bulletin in bulletins
        if bulletin["tipoBoletim"] == "Fechamento"
    }
    return recorded + sorted(item for item in closings.items() if item[0] > recorded[-1][0])


def _ipca(taken: str) -> list[tuple[date, str]]:
    """Series 433 is the IPCA's monthly variation: SIDRA's table 1737, variable 63, as taken that day."""
    _header, *cells = _load(f"sidra/ipca_{taken}.json")
    return [(date(int(cell["D3C"][:4]), int(cell["D3C"][4:]), 1), cell["V"]) for cell in cells]


def _is_too_long(first: date | None, last: date | None, today: date) -> bool:
    """Dates are compulsory on daily series, and at most ten years apart."""
    if first is None:
        return True
    limit = (last or today) - timedelta(days=1)
    try:
        return first.replace(year=first.year + _LONGEST_DAILY_WINDOW) <= limit
    except ValueError:  # 29 February
        return first.replace(year=first.year + _LONGEST_DAILY_WINDOW, day=28) <= limit


def _pairs(rows: list[dict[str, str]]) -> list[tuple[date, str]]:
    return [(_day(row["data"]), row["valor"]) for row in rows]


def _day(text: str) -> date:
    day, month, year = text.split("/")
    return date(int(year), int(month), int(day))


@cache
def _load(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _error(status: int, detail: str) -> Reply:
    return Reply(status, _json({"erro": {"statusCode": status, "detail": detail}}))
