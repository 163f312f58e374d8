"""ANATEL's mobile accesses: one zip, a member per half-year since 2019, and the history before it in some long ones.

Since 2019 a row is a combination of provider, municipality, area code, payment mode, technology and product. The
history before has no municipality and comes in two cuts: by technology, without payment mode, or by payment mode,
without technology. It has no state before February 2009.

Whether two rows of one file may have equal keys is not known. They are not summed here: a chunk does not see the whole
file. Bronze keeps every row; silver keeps the first, drops an equal one as a duplicate and quarantines a different one
as `conflicting_version`, so that nothing is lost silently and no sum is guessed.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from producers.calendars import Calendar
from producers.families.anatel_accesses import DAYS, PUBLICATION, AccessFiles, Header
from producers.families.anatel_csv import CNPJ, MUNICIPALITY, code
from producers.families.anatel_members import Period, choose, months, scope_of
from producers.formats import values
from producers.model import Resource, Source, Span

ACCESSES = "anatel_mobile_accesses"

# 2026_1S · 201901-201906_Colunas · 2005-2018_Tecnologia · 200902-2018_Modalidade_Colunas
_MEMBER = re.compile(
    r"Acessos_Telefonia_Movel_"
    r"(?:(?P<year>[0-9]{4})_(?P<half>[12])S|(?P<first>[0-9]{4}(?:[0-9]{2})?)(?:[-_](?P<last>[0-9]{4}(?:[0-9]{2})?))?)"
    r"(?:_(?P<cut>Tecnologia|Modalidade))?(?P<wide>_Colunas)?\.csv",
    re.IGNORECASE,
)

_COLUMNS = {
    "cnpj": "cnpj",
    "empresa": "company",
    "grupo economico": "economic_group",
    "porte da prestadora": "provider_size",
    "uf": "uf",
    "codigo ibge municipio": "municipality_code",
    "codigo nacional": "area_code",
    "codigo nacional (chip)": "chip_area_code",
    "modalidade de cobranca": "payment_mode",
    "tecnologia": "technology",
    "tecnologia geracao": "generation",
    "tipo de pessoa": "person_type",
    "tipo de produto": "product_type",
}
_MUNICIPALITY_NAME = "municipio"  # ignored: a name never identifies a municipality
_BY_MUNICIPALITY_SINCE = date(2019, 1, 1)
_BY_MUNICIPALITY = frozenset(_COLUMNS.values()) - {"chip_area_code"}  # only some half-years have the chip's


def _required(header: Header) -> Collection[str]:
    """The required fields: since 2019 all; in the history the provider and the field by which it is divided."""
    is_recent = any(month >= _BY_MUNICIPALITY_SINCE for _, month in header.months)
    if is_recent or _MUNICIPALITY_NAME in header.names or "municipality_code" in header.fields:
        return _BY_MUNICIPALITY
    # A long file of the history tells its months in its rows; silver sets aside one since 2019 without municipality.
    return {"cnpj", "company", "payment_mode" if "payment_mode" in header.fields else "technology"}


_FILES = AccessFiles(
    dataset=ACCESSES,
    columns=_COLUMNS,
    ignored=frozenset({_MUNICIPALITY_NAME}),
    readers={
        "cnpj": values.required(CNPJ, "cnpj"),
        "municipality_code": MUNICIPALITY,
        # As published, except for a float's zero: it is not known whether there are values other than the 67 codes of
        # two digits.
        "area_code": code(values.text),
        "chip_area_code": code(values.text),
    },
    required=_required,
)
parse = _FILES.parse


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource("acessos_telefonia_movel", "acessos/acessos_telefonia_movel.zip")]


def _select(resource: Resource, names: Sequence[str], span: Span) -> Mapping[str, str]:
    """Each month from one member; the density and `_Total` members from none.

    Density is derived: accesses per 100 inhabitants, with Brazil, states and municipalities mixed in one column. The
    total is a sum that the rows give themselves, and the press' figure is another one (without M2M and points of
    service), so there is nothing to reconcile it with.
    """
    return choose(names, _period, span)


def _period(name: str) -> Period | None:
    match = _MEMBER.fullmatch(name)
    if match is None:
        return None
    if match["half"]:
        first, last = (match["year"] + month for month in (("01", "06") if match["half"] == "1" else ("07", "12")))
    else:
        first, last = match["first"], match["last"] or match["first"]
    begin, end = months(first), months(last)
    if begin is None or end is None or begin[0] > end[1]:
        return None
    # Both cuts of the history hold the same accesses. The one by technology is read: it says more (GSM, WCDMA, LTE,
    # data), and these columns continue after 2018. Before February 2009 there is only the other one, which is read.
    is_preferred = (match["cut"] or "").lower() != "modalidade"
    key = "-".join(f"{month // 12}{month % 12 + 1:02d}" for month in (begin[0], end[1]))
    return Period(key, begin[0], end[1], is_wide=bool(match["wide"]), is_preferred=is_preferred)


SOURCE = Source(
    name=ACCESSES,
    datasets=(ACCESSES,),
    base_url="https://www.anatel.gov.br/dadosabertos/paineis_de_dados/",
    calendar=Calendar(("33 */6 * * *",)),
    terms="open government data, ANATEL",
    history_start=date(2019, 1, 1),
    kind="zip",
    resources=_resources,
    parse=parse,
    publication={ACCESSES: PUBLICATION},
    select=_select,
    scope=lambda key, name: scope_of(ACCESSES, _period(name)),
    days={ACCESSES: DAYS},
)
