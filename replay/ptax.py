"""The Banco Central's PTAX service: the bodies of two following days, cut to the days asked for."""

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from replay.content import DATA, Reply

_PATH = "CotacaoMoedaPeriodo(moeda=@moeda,dataInicial=@dataInicial,dataFinalCotacao=@dataFinalCotacao)"
_RECORDED = "USD"


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """The bulletins of a currency from one day to another; None when another function is called.

    Only the dollar is recorded: of other currencies, as of weekends, there is nothing.
    """
    if path != _PATH:
        return None
    try:
        currency = _quoted(query, "@moeda")
        first, last = (_day(_quoted(query, name)) for name in ("@dataInicial", "@dataFinalCotacao"))
    except ValueError:
        return Reply(400, b"<html><body>Erro na requisi\xc3\xa7\xc3\xa3o</body></html>", "text/html")
    recorded = _load("20251110" if day == 1 else "20251111")
    found = [
        bulletin
        for bulletin in recorded["value"]
        if currency == _RECORDED and first <= date.fromisoformat(bulletin["dataHoraCotacao"][:10]) <= last
    ]
    body = json.dumps({"@odata.context": recorded["@odata.context"], "value": found}, ensure_ascii=False)
    return Reply(200, body.encode())


def _quoted(query: Mapping[str, str], name: str) -> str:
    """The text of a parameter, which must stand in quotes. Raises: ValueError."""
    match = re.fullmatch(r"'([^']*)'", query.get(name, ""))
    if match is None:
        raise ValueError(f"{name} is not in quotes")
    return match[1]


def _day(text: str) -> date:
    return datetime.strptime(text, "%m-%d-%Y").date()


@cache
def _load(taken: str) -> Any:
    return json.loads((DATA / "ptax" / f"subset_ptax_usd_{taken}.json").read_text(encoding="utf-8"))
