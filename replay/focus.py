"""The Banco Central's expectations service (Focus). No real body is known: shape and values are invented.

The report of Monday, 10 November 2025, is not out yet on the first publication day: the survey ends on 31 October
there, and on 7 November afterwards.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from replay.content import Reply

_FIRST = date(2025, 10, 20)
_LAST = {1: date(2025, 10, 31), 2: date(2025, 11, 7), 3: date(2025, 11, 7)}
_REFERENCES: dict[str, tuple[str | None, ...]] = {
    "ExpectativaMercadoMensais": ("11/2025", "12/2025", "01/2026"),
    "ExpectativasMercadoAnuais": ("2025", "2026"),
    "ExpectativasMercadoTrimestrais": ("4/2025", "1/2026"),
    "ExpectativasMercadoInflacao12Meses": (None,),
    "ExpectativasMercadoTop5Mensais": ("11/2025", "12/2025"),
    "ExpectativasMercadoTop5Anuais": ("2025", "2026"),
    "ExpectativasMercadoSelic": ("R7/2025", "R8/2025", "R1/2026", "R8/2026"),
}
_MEETING_OVER = {"R7/2025": date(2025, 11, 5)}
_INDICATORS = (
    ("IPCA", None, 4.55),
    ("Câmbio", None, 5.41),
    ("PIB Total", None, 2.16),
    ("Balança comercial", "Saldo", 62.0),
)
_SELIC = (("Selic", None, 15.0),)
_FILTER = re.compile(r"Data (ge|le) '(\d{4}-\d\d-\d\d)'")
_SERVER_ERROR = b"<html><head><title>500 Internal Server Error</title></head></html>"


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """The rows of one resource, newest first; None for a resource that there is not.

    It supports comparisons of `Data` joined by `and`, `$orderby=Data desc`, `$top` and `$skip`. Like the service, it
    answers other queries with status 500 and an HTML page.
    """
    if path not in _REFERENCES:
        return None
    first, last = _FIRST, _LAST[day]
    for comparison in query.get("$filter", f"Data ge '{first}'").split(" and "):
        match = _FILTER.fullmatch(comparison)
        if match is None:
            return Reply(500, _SERVER_ERROR, "text/html")
        bound = date.fromisoformat(match[2])
        first, last = (max(first, bound), last) if match[1] == "ge" else (first, min(last, bound))
    if query.get("$orderby") != "Data desc" or query.get("$format") != "json":
        return Reply(500, _SERVER_ERROR, "text/html")
    skip, top = int(query.get("$skip", "0")), int(query.get("$top", "10000"))
    rows = [row for on in _days(first, last) for row in rows_of(path, on)][skip : skip + top]
    context = f"https://was-p.bcnet.bcb.gov.br/olinda/servico/Expectativas/versao/v1/odata$metadata#{path}"
    return Reply(200, json.dumps({"@odata.context": context, "value": rows}, ensure_ascii=False).encode())


def rows_of(resource: str, on: date) -> Iterator[dict[str, Any]]:
    """The rows of one resource on one day of the survey: every statistic comes twice, once per base."""
    step = (on - _FIRST).days
    is_selic = resource == "ExpectativasMercadoSelic"
    for name, detail, median in _SELIC if is_selic else _INDICATORS:
        for place, reference in enumerate(_REFERENCES[resource]):
            if reference in _MEETING_OVER and on > _MEETING_OVER[reference]:
                continue  # there are no expectations for past decisions
            for base in (0, 1):
                middle = round(median + 0.01 * step + 0.1 * place - 0.02 * base, 4)
                if is_selic:
                    middle = round(middle * 4) / 4  # the COPOM changes the rate by quarters of a point
                yield {
                    "Indicador": name,
                    **({"IndicadorDetalhe": detail} if "Anuais" in resource else {}),
                    "Data": on.isoformat(),
                    **({"Suavizada": "S"} if reference is None else {_about(resource): reference}),
                    **({"tipoCalculo": "C"} if "Top5" in resource else {}),
                    "Media": round(middle + 0.0037, 4),
                    "Mediana": middle,
                    "DesvioPadrao": round(0.0912 + 0.01 * place, 4),
                    "Minimo": round(middle - 0.35, 4),
                    "Maximo": round(middle + 0.42, 4),
                    "numeroRespondentes": 148 - 90 * base,
                    "baseCalculo": base,
                }


def _about(resource: str) -> str:
    return "Reuniao" if resource == "ExpectativasMercadoSelic" else "DataReferencia"


def _days(first: date, last: date) -> Iterator[date]:
    """Working days, newest first."""
    while last >= first:
        if last.weekday() < 5:
            yield last
        last -= timedelta(days=1)
