"""ANATEL's mobile accesses at full size: the newest half-year in the long layout, and two small members before it.

The technologies, products, municipalities and large providers are real; their combinations and numbers of accesses are
random. No two rows of a member have one key. Memory does not grow with the rows: a block of one month and provider is
made at a time.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from replay.volume.places import Place, joined

HEADER = (
    "Ano;Mês;Grupo Econômico;Empresa;CNPJ;Porte da Prestadora;UF;Município;Código IBGE Município;Código Nacional;"
    "Código Nacional (Chip);Modalidade de Cobrança;Tecnologia;Tecnologia Geração;Tipo de Pessoa;Tipo de Produto;Acessos"
)
NEWEST = "Acessos_Telefonia_Movel_2026_1S.csv"
_FORMER = {"Acessos_Telefonia_Movel_2025_1S.csv": (2025, 1), "Acessos_Telefonia_Movel_2025_2S.csv": (2025, 7)}
_FORMER_SHARE = 1000
"""A former member has this part of the newest one's rows."""

MAX_ROWS = 15_000_000
_MONTHS = 6
_ZIP64_ABOVE_ROWS = 10_000_000
_LEVEL = 1  # deflate: the real zip is packed harder, and three times as slowly


@dataclass(frozen=True)
class _Provider:
    group: str
    company: str
    cnpj: str
    size: str
    combinations: Sequence[str]


def _combinations(technologies: Sequence[tuple[str, str]]) -> list[str]:
    """Payment mode to product, as the file has them. M2M and points of service are sold to firms, post-paid."""
    products = ("VOZ+DADOS", "VOZ", "DADOS", "M2M", "PONTO_DE_SERVICO")
    return [
        f"{payment};{technology};{generation};{person};{sold};"
        for payment, (technology, generation), person, sold in product(
            ("Pós-pago", "Pré-pago"), technologies, ("Pessoa Física", "Pessoa Jurídica"), products
        )
        if sold not in {"M2M", "PONTO_DE_SERVICO"} or (payment, person) == ("Pós-pago", "Pessoa Jurídica")
    ]


_ALL = _combinations([("GSM", "2G"), ("WCDMA", "3G"), ("LTE", "4G"), ("NR NSA", "5G"), ("NR", "5G")])
_FEW = _combinations([("WCDMA", "3G"), ("LTE", "4G")])
_NAMED = (
    _Provider("TELECOM AMERICAS", "CLARO", "40432544000147", "Grande Porte", _ALL),
    _Provider("TELEFONICA", "VIVO", "02558157000162", "Grande Porte", _ALL),
    _Provider("TELECOM ITALIA", "TIM", "02421421000111", "Grande Porte", _ALL),
    _Provider("ALGAR (CTBC TELECOM)", "ALGAR (CTBC TELECOM)", "71208516000174", "Pequeno Porte", _FEW),
    _Provider("OUTROS", "AMERICA NET", "01778972000174", "Pequeno Porte", _FEW),
)


def _made_up(number: int) -> str:
    """An invented CNPJ with valid check digits: sums weighted 2 to 9 from the right, modulo 11."""
    digits = [int(digit) for digit in f"{number:012d}"]
    for _ in range(2):
        rest = sum(digit * (2 + place % 8) for place, digit in enumerate(reversed(digits))) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, digits))


# There are some dozens of small providers; their names and numbers are invented.
_PROVIDERS = (
    *_NAMED,
    *(
        _Provider("OUTROS", f"OPERADORA MÓVEL {number}", _made_up(number), "Pequeno Porte", _FEW)
        for number in range(1, 11)
    ),
)


def write(path: Path, rows: int, seed: int, places: Sequence[Place]) -> None:
    """The zip, its newest member with exactly that many rows; the same arguments give the same bytes."""
    members = {name: (first, max(1, rows // _FORMER_SHARE)) for name, first in _FORMER.items()}
    members[NEWEST] = ((2026, 1), rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for number, (name, (first, count)) in enumerate(members.items()):
            with archive.open(name, "w", force_zip64=count > _ZIP64_ABOVE_ROWS) as member:
                member.write(("\ufeff" + HEADER + "\r\n").encode())
                for block in blocks(first, count, seed + number, places):
                    member.write(block)


def blocks(first: tuple[int, int], rows: int, seed: int, places: Sequence[Place]) -> Iterator[bytes]:
    """Rows of half a year from that (year, month) on, a month's rows of one provider at a time."""
    year, month = first
    ordered = sorted(places, key=lambda place: (place.area_code, place.name, place.municipality_code))
    where = pa.array(
        [f"{each.uf};{each.name};{each.municipality_code};{each.area_code};{each.area_code};" for each in ordered]
    )
    possible = len(where) * _MONTHS * sum(len(provider.combinations) for provider in _PROVIDERS)
    before = 0
    for number, (offset, provider) in enumerate(product(range(_MONTHS), _PROVIDERS)):
        size = len(where) * len(provider.combinations)
        # Each block has its share of the rows; the shares of all blocks add up to exactly all rows.
        count = rows * (before + size) // possible - rows * before // possible
        before += size
        if not count:
            continue
        chance = pc.random(2 * count, initializer=seed * 1_000_003 + number)
        which = _chosen(size, count, chance[:count])
        place = pc.divide(which, len(provider.combinations))
        combination = pc.subtract(which, pc.multiply(place, len(provider.combinations)))
        head = f"{year};{month + offset};{provider.group};{provider.company};{provider.cnpj};{provider.size};"
        what = pa.array(provider.combinations).take(combination)
        yield joined(head, where.take(place), what, _accesses(chance[count:]).cast(pa.string()), "\r\n")


def _chosen(size: int, count: int, chance: Any) -> Any:
    """`count` different numbers below `size`, ascending: one from each of so many equal spans."""
    edges = pc.divide(pc.multiply(pa.arange(0, count + 1, 1), size), count)
    low, high = edges[:-1], edges[1:]
    width = pc.subtract(high, low).cast(pa.float64())
    return pc.add(low, pc.floor(pc.multiply(chance, width)).cast(pa.int64()))


def _accesses(chance: Any) -> Any:
    """From 1 up, a few in the millions, as in the real file (Pareto, exponent 0.8)."""
    return pc.floor(pc.power(pc.max_element_wise(chance, 1e-6), -1.25)).cast(pa.int64())
