"""Banco Central do Brasil, Focus: market expectations of inflation, rates and growth, by day of the survey.

Left out is `ExpectativasMercadoInstituicoes`, which has every anonymous institution's own answer: millions of rows, of
which the resources below are the statistics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa

from foundation.errors import InvalidContent
from producers import windows
from producers.calendars import Calendar
from producers.formats import json_rows, odata, values
from producers.formats.columns import map_distinct
from producers.model import (
    CHUNK_ROWS,
    ApiRequest,
    Choosable,
    Parsed,
    Part,
    Progress,
    Publication,
    Resource,
    Source,
    Span,
)
from producers.scope import Scope, day_of
from schemas import choices

FOCUS = "bcb_focus"
RESOURCES = {
    "ExpectativaMercadoMensais": timedelta(days=90),  # "Expectativa" without s is only in this name
    "ExpectativasMercadoAnuais": timedelta(days=90),
    "ExpectativasMercadoTrimestrais": timedelta(days=365),
    "ExpectativasMercadoInflacao12Meses": timedelta(days=365),
    "ExpectativasMercadoTop5Mensais": timedelta(days=90),
    "ExpectativasMercadoTop5Anuais": timedelta(days=365),
    # Some twenty meetings to come, in both bases. Since it is there, the monthly resource has the Selic no longer.
    "ExpectativasMercadoSelic": timedelta(days=365),
}
"""Resource → days that one question may span, so that its answer stays below half of MOST_ROWS [estimate]."""

MOST_ROWS = 100_000
"""Rows asked for at most, `$top`: some 30 MB. Pages (`$skip`) would need a total order, and `Data` is none."""

_OVERLAP = timedelta(days=30)
_TO_MONDAY = timedelta(days=2, hours=12)  # from Friday's end, UTC, to Monday 09:00 in Brasília
_HOLIDAY = timedelta(days=1)

_FIELDS = (
    ("indicator", "indicador"),
    ("indicator_detail", "indicadordetalhe"),
    ("surveyed_on", "data"),
    ("reference_period", "datareferencia"),
    ("base_calculation", "basecalculo"),
    ("smoothed", "suavizada"),
    ("calculation_type", "tipocalculo"),
    ("mean", "media"),
    ("median", "mediana"),
    ("standard_deviation", "desviopadrao"),
    ("minimum", "minimo"),
    ("maximum", "maximo"),
    ("respondents", "numerorespondentes"),
)
_SPELLED = dict(_FIELDS)
# What an expectation is about, where that is no period: a meeting of the COPOM (`R2/2022`, the second of 2022), or
# nothing. It is part of the key: without it a day's expectations would be versions of one row.
_REFERENCE = {"ExpectativasMercadoSelic": "reuniao", "ExpectativasMercadoInflacao12Meses": None}
# Not kept is coeficienteVariacao: the standard deviation divided by the mean.
_KNOWN = {*_SPELLED.values(), "reuniao", "coeficientevariacao"}
_COMMON = ("indicador", "data", "media", "mediana", "minimo", "maximo")
_TOP5 = ("datareferencia", "tipocalculo")
# Resource → the fields without which a row would be nothing, or another one's: those of the key. Whether the resources
# of the five best institutions have a base is not known.
_REQUIRED = {
    "ExpectativaMercadoMensais": (*_COMMON, "datareferencia", "basecalculo"),
    "ExpectativasMercadoAnuais": (*_COMMON, "datareferencia", "basecalculo"),
    "ExpectativasMercadoTrimestrais": (*_COMMON, "datareferencia", "basecalculo"),
    "ExpectativasMercadoInflacao12Meses": (*_COMMON, "suavizada", "basecalculo"),
    "ExpectativasMercadoSelic": (*_COMMON, "reuniao", "basecalculo"),
    "ExpectativasMercadoTop5Mensais": (*_COMMON, *_TOP5),
    "ExpectativasMercadoTop5Anuais": (*_COMMON, *_TOP5),
}
_OPTIONAL = ("desviopadrao", "numerorespondentes")
_ROWS = json_rows.Rows(FOCUS, ("resource", *_SPELLED))
_STATISTIC = values.decimal(28, 13)


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body `{"value": [{"Indicador": "IPCA", "Data": "2025-11-07", "Mediana": 4.55, "baseCalculo": 0, …}]}`.

    Fields are found whatever their case: the service mixes it, within a row and between its resources. A row without
    what its resource's expectations are about is rejected.

    Raises: InvalidContent when the body is no such object, when neither the part's resource nor the body's context
        names one of RESOURCES, and when it is as long as an answer may be: what did not fit is unknown.
    """
    found, context = odata.body(b"".join(blocks))
    resource = next((name for name in (part.resource, context) if name in RESOURCES), None)
    if resource is None:
        raise InvalidContent(
            f"{part.resource!r} is not a resource of Focus, and the body names none; known: {', '.join(RESOURCES)}"
        )
    if len(found) >= MOST_ROWS:
        raise InvalidContent(
            f"{len(found)} rows, the most that one request allows: there may be more; request fewer days"
        )
    items = [_folded(item) for item in found]
    del found  # a whole body's worth
    yield from _ROWS.chunks(
        items,
        lambda item: (resource, *_expectation(item, resource)),
        first_row=first_row,
        chunk_rows=chunk_rows,
        notes=json_rows.unknown_fields(items, _KNOWN) + json_rows.absent_fields(items, _OPTIONAL),
    )


def _folded(item: Any) -> Any:
    """The item with its fields' names in lower case; if two names are then equal, the item is rejected."""
    if not isinstance(item, dict):
        return item
    found = {name.lower(): value for name, value in item.items()}
    return found if len(found) == len(item) else list(item)


def _expectation(item: Mapping[str, Any], resource: str) -> tuple[Any, ...]:
    def read(name: str) -> str:
        return json_rows.text(item, _SPELLED[name])

    reference = _REFERENCE.get(resource, _SPELLED["reference_period"])
    json_rows.require(item, _REQUIRED[resource], known=_KNOWN)
    return (
        json_rows.required_text(item, "indicador"),
        values.text(read("indicator_detail")),
        values.reference_day(json_rows.required_text(item, "data")),
        json_rows.required_text(item, reference) if reference else None,
        values.count(read("base_calculation")),
        values.text(read("smoothed")),
        values.text(read("calculation_type")),
        *(_STATISTIC(read(name)) for name in ("mean", "median", "standard_deviation", "minimum", "maximum")),
        values.count(read("respondents")),
    )


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource(name, name) for name in choices.polled(FOCUS, RESOURCES)]


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    """History in windows of some months; the newest window only when the service has a newer day than was published.

    Compound filters are fragile here. The newest window needs none; a closed one has a second bound.
    """
    newest = partial(_newest, until=progress.today)
    for window in windows.plan(progress, longest=RESOURCES[resource.name], overlap=_OVERLAP, newest=newest):
        former = None if windows.is_closed(window.key) else progress.newest_body(window.key)
        if former is not None and not _is_newer(resource, progress, newest(former)):
            continue
        days = f"Data ge '{window.first}'"
        if windows.is_closed(window.key):
            days += f" and Data le '{window.last}'"
        last = window.last if windows.is_closed(window.key) else date.max
        scope = Scope((FOCUS,), ((window.first, last),), (("resource", resource.name),))
        yield ApiRequest(window.key, {}, _address(resource, days, MOST_ROWS), scope=scope)


def _is_newer(resource: Resource, progress: Progress, known: date | None) -> bool:
    """Whether the service's newest day is after the newest one published."""
    newest = _newest(progress.look(_address(resource, None, 1), {}))
    return known is None or newest is None or newest > known


def _address(resource: Resource, days: str | None, rows: int) -> str:
    options = {"$filter": days} if days else {}
    return odata.address(resource.path, {**options, "$orderby": "Data desc", "$top": str(rows), "$format": "json"})


def _newest(body: bytes, *, until: date = date.max) -> date | None:
    return json_rows.newest_day([_folded(item) for item in odata.items(body)], "data", until=until)


def _end_of_week(records: pa.RecordBatch) -> pa.Array:
    """The midnight, UTC, after the Friday of the survey's week: a week's days are published together."""

    def end(day: date) -> datetime:
        friday = day + timedelta(days=(4 - day.weekday()) % 7)
        return datetime(friday.year, friday.month, friday.day, tzinfo=UTC) + timedelta(days=1)

    return map_distinct(records.column("surveyed_on"), end, pa.timestamp("us", tz="UTC"))


SOURCE = Source(
    name=FOCUS,
    datasets=(FOCUS,),
    base_url="https://olinda.bcb.gov.br/olinda/servico/Expectativas/versao/v1/odata/",
    # The report comes out on the first working day of the week, at half past eight.
    calendar=Calendar(("50 8 * * *", "20 12 * * 1-5"), "America/Sao_Paulo"),
    terms="open data, Banco Central do Brasil (ODbL)",
    # A hundred questions, some 2 GB: what is older waits for a backfill.
    history_start=date(2020, 1, 1),
    kind="body",
    resources=_resources,
    parse=parse,
    # Rather late than early: a Monday that is a holiday puts publication off by a day.
    publication={FOCUS: Publication(_end_of_week, lambda part: _TO_MONDAY + _HOLIDAY)},
    plan=_plan,
    days={FOCUS: day_of("surveyed_on")},
    is_no_news=odata.is_no_news,
    repeats=json_rows.adds_nothing(odata.items),
    media="json",
    choosable=Choosable("resource", RESOURCES),
)
