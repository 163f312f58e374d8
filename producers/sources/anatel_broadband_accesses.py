"""ANATEL's fixed-broadband accesses: one zip, a member per period, each in a long and a wide (`_Colunas`) layout.

Both layouts hold the same records; one is read per period, the wide one where there is one (a tenth of the bytes).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath

from producers.calendars import Calendar
from producers.families.anatel_accesses import DAYS, PUBLICATION, AccessFiles
from producers.families.anatel_csv import CNPJ, MUNICIPALITY
from producers.families.anatel_members import Period, choose, months, scope_of
from producers.formats import values
from producers.model import BadValueError, RejectReason, Resource, Source, Span
from producers.scope import Scope

ACCESSES, TOTALS = "anatel_broadband_accesses", "anatel_broadband_totals"
TOTAL_KEY = "Total"

# The wide member of `2019-2020` is `2019_2020_Colunas`.
_MEMBER = re.compile(r"Acessos_Banda_Larga_Fixa_([0-9]{4})(?:[-_]([0-9]{4}))?(_Colunas)?\.csv", re.IGNORECASE)
_TOTAL_MEMBER = re.compile(r"Acessos_Banda_Larga_Fixa_Total\.csv", re.IGNORECASE)

_MBPS = values.decimal(18, 6)
_THOUSANDS = re.compile(r"\s*[1-9][0-9]{0,2}\.[0-9]{2}0\s*")


def _speed(text: str) -> Decimal | None:
    """Mbit/s: `500,000000` as ANATEL writes it, `500.0` of a copy that went through pandas.

    `1.000` is neither, and probably means a thousand: it is refused. Raises: BadValueError.
    """
    if _THOUSANDS.fullmatch(text):
        raise BadValueError(RejectReason.BAD_NUMBER, f"thousands or decimals? {text.strip()!r}")
    return _MBPS(text)


# `porte` alone is an older spelling.
_COLUMNS = {
    "cnpj": "cnpj",
    "empresa": "company",
    "grupo economico": "economic_group",
    "porte da prestadora": "provider_size",
    "porte": "provider_size",
    "uf": "uf",
    "codigo ibge municipio": "municipality_code",
    "velocidade": "speed_mbps",
    "faixa de velocidade": "speed_band",
    "tecnologia": "technology",
    "meio de acesso": "access_medium",
    "tipo de pessoa": "person_type",
    "tipo de produto": "product_type",
}
_SOMETIMES = {"speed_mbps", "person_type", "product_type"}  # absent in some years
_REQUIRED = frozenset(_COLUMNS.values()) - _SOMETIMES

_FILES = AccessFiles(
    dataset=ACCESSES,
    columns=_COLUMNS,
    ignored=frozenset({"municipio"}),  # a name never identifies a municipality
    readers={
        "cnpj": values.required(CNPJ, "cnpj"),
        "municipality_code": MUNICIPALITY,
        "speed_mbps": _speed,
    },
    required=lambda header: _REQUIRED,
    totals=TOTALS,
)
parse = _FILES.parse


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource("acessos_banda_larga_fixa", "acessos/acessos_banda_larga_fixa.zip")]


def _select(resource: Resource, names: Sequence[str], span: Span) -> Mapping[str, str]:
    """Period → its wide member, else its long one, and the totals; only periods that the span owns."""
    found = choose(names, _period, span)
    for name in names:
        if _TOTAL_MEMBER.fullmatch(PurePosixPath(name).name):
            found[TOTAL_KEY] = name
    return found


def _scope(key: str, name: str) -> Scope | None:
    return Scope((TOTALS,)) if key == TOTAL_KEY else scope_of(ACCESSES, _period(name))


def _period(name: str) -> Period | None:
    match = _MEMBER.fullmatch(name)
    if match is None:
        return None
    first, last = months(match[1]), months(match[2] or match[1])
    if first is None or last is None or first[0] > last[1]:
        return None
    key = "-".join(year for year in match.groups()[:2] if year)
    return Period(key, first[0], last[1], is_wide=bool(match[3]))


SOURCE = Source(
    name=ACCESSES,
    datasets=(ACCESSES, TOTALS),
    base_url="https://www.anatel.gov.br/dadosabertos/paineis_de_dados/",
    calendar=Calendar(("23 */6 * * *",)),
    terms="open government data, ANATEL",
    history_start=date(2019, 1, 1),
    kind="zip",
    resources=_resources,
    parse=parse,
    publication={ACCESSES: PUBLICATION, TOTALS: PUBLICATION},
    select=_select,
    scope=_scope,
    days={ACCESSES: DAYS, TOTALS: DAYS},
)
