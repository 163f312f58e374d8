"""IBGE's list of municipalities: real codes and names of a public CSV, in the shape of the API, which is built.

Boa Esperança do Norte, installed in 2025, joins the list on the second publication day: the day is ours.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from replay.content import DATA, Reply

_NEWEST = "5101837"


def answer(path: str, query: Mapping[str, str], day: int) -> Reply | None:
    """The list, in order of codes; None for any other path."""
    if path != "municipios":
        return None
    found = [_shaped(code, name, uf) for code, name, uf in _recorded() if day > 1 or code != _NEWEST]
    return Reply(200, json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode())


def _shaped(code: str, name: str, uf: str) -> dict[str, Any]:
    """One element. Micro-regions were replaced in 2017: newer municipalities have none."""
    state = {"id": int(code[:2]), "sigla": uf}
    micro = {"mesorregiao": {"UF": state}} if code != _NEWEST else None
    return {
        "id": int(code),
        "nome": name,
        "microrregiao": micro,
        "regiao-imediata": {"regiao-intermediaria": {"UF": state}},
    }


@cache
def _recorded() -> tuple[tuple[str, str, str], ...]:
    """Code, name and state of every municipality, in order of codes."""
    states = {row["codigo_uf"]: row["uf"] for row in _rows("estados.csv")}
    return tuple(sorted((row["codigo_ibge"], row["nome"], states[row["codigo_uf"]]) for row in _rows("municipios.csv")))


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / "municipalities" / name).open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)
