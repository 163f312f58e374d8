"""Banco Central do Brasil, PTAX: the bulletins of a currency's exchange rate, some five on each working day."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from foundation.errors import InvalidContent
from producers import windows
from producers.calendars import Calendar
from producers.choosing import Fields
from producers.formats import json_rows, odata, values
from producers.model import (
    CHUNK_ROWS,
    ApiRequest,
    BadValueError,
    Choosable,
    Parsed,
    Part,
    Progress,
    Publication,
    RejectReason,
    Resource,
    Source,
    Span,
)
from producers.scope import Scope
from schemas import choices

PTAX = "bcb_ptax"
CURRENCIES = ("USD", "EUR")
"""ISO 4217 codes of what is polled unless the settings say otherwise."""
OFFERED = ("AUD", "CAD", "CHF", "DKK", "EUR", "GBP", "JPY", "NOK", "SEK", "USD")
"""The currencies that the service has; its resource `Moedas` lists them."""

BRASILIA = ZoneInfo("America/Sao_Paulo")

_FUNCTION = "CotacaoMoedaPeriodo(moeda=@moeda,dataInicial=@dataInicial,dataFinalCotacao=@dataFinalCotacao)"
# A request of ten years was answered completely, 13,573 bulletins without paging; longer ones are not known.
_LONGEST = timedelta(days=3650)
# Values were never revised as far as is known; five days are enough to find bulletins that were published late.
_OVERLAP = timedelta(days=5)
# A bulletin is the mean of offers of the minutes before it; it is out within minutes.
_LAG = timedelta(minutes=15)

_ROWS = json_rows.Rows(
    PTAX,
    (
        "currency_code",
        "quoted_at",
        "quoted_at_local",
        "bulletin_type",
        "buying_parity",
        "selling_parity",
        "buying_rate",
        "selling_rate",
    ),
)
_NUMBERS = ("paridadeCompra", "paridadeVenda", "cotacaoCompra", "cotacaoVenda")
_FIELDS = (*_NUMBERS, "dataHoraCotacao", "tipoBoletim")
_RATE = values.decimal(18, 8)
_DECLARED = {currency: currency for currency in CURRENCIES}
_QUOTED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,6}))?")


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body `{"value": [{"cotacaoCompra": 5.38, "dataHoraCotacao": "2025-11-10 13:03:27.67", …}]}`.

    The body does not name its currency: the part's resource does.

    Raises: InvalidContent when the body is no such object, or the resource no currency.
    """
    currency = part.resource
    if not re.fullmatch(r"[A-Z]{3}", currency, re.ASCII):
        raise InvalidContent(f"{currency!r} is not a currency (three capital letters); name one with --currency")
    items = odata.items(b"".join(blocks))
    yield from _ROWS.chunks(
        items,
        lambda item: (currency, *_bulletin(item)),
        first_row=first_row,
        chunk_rows=chunk_rows,
        notes=json_rows.unknown_fields(items, _FIELDS),
    )


def _bulletin(item: Mapping[str, Any]) -> tuple[Any, ...]:
    json_rows.require(item, _FIELDS, known=_FIELDS)
    local = json_rows.required_text(item, "dataHoraCotacao")
    kind = json_rows.required_text(item, "tipoBoletim")
    return instant(local), local, kind, *(_RATE(json_rows.text(item, name)) for name in _NUMBERS)


def instant(local: str) -> datetime:
    """Brasília's wall clock (`2018-12-03 10:09:29.06`, one to six decimals of a second) as UTC.

    Summer time, which Brasília had until February 2019, is the tz database's. In the hour that is repeated when summer
    time ends, the first one is meant; bulletins are published between 10 and 14 h, so this never matters.

    Raises: BadValueError.
    """
    match = _QUOTED.fullmatch(local)
    if match is not None:
        values.reference_day(match[1])
    try:
        if match is None:
            raise ValueError("not of that form")
        wall = datetime.fromisoformat(f"{match[1]}T{match[2]}.{(match[3] or '').ljust(6, '0')}")
        return wall.replace(tzinfo=BRASILIA, fold=0).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadValueError(RejectReason.BAD_DATE, f"not a moment: {local!r}") from None


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource(currency, _FUNCTION) for currency in choices.polled(PTAX, _DECLARED)]


def _own(key: str, fields: Fields) -> str:
    if key not in OFFERED:
        raise ValueError(f"PTAX has no such currency; one of: {', '.join(OFFERED)}")
    return key


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    newest = partial(_newest, until=progress.today)
    for window in windows.plan(progress, longest=_LONGEST, overlap=_OVERLAP, newest=newest):
        # Month first: the only service of the Banco Central that wants it so.
        options = {
            "@moeda": f"'{resource.name}'",
            "@dataInicial": f"'{window.first:%m-%d-%Y}'",
            "@dataFinalCotacao": f"'{window.last:%m-%d-%Y}'",
            "$format": "json",
        }
        scope = Scope((PTAX,), ((window.first, window.last),), (("currency_code", resource.name),))
        yield ApiRequest(window.key, {}, odata.address(resource.path, options), scope=scope)


def _local_day(records: pa.RecordBatch) -> pa.Array:
    """The civil day in Brasília, as questions name days."""
    return pc.utf8_slice_codeunits(records.column("quoted_at_local"), 0, 10).cast(pa.date32())


def _newest(body: bytes, *, until: date) -> date | None:
    return json_rows.newest_day(odata.items(body), "dataHoraCotacao", until=until)


def _quoted_at(records: pa.RecordBatch) -> pa.Array:
    return records.column("quoted_at")


SOURCE = Source(
    name=PTAX,
    datasets=(PTAX,),
    base_url="https://olinda.bcb.gov.br/olinda/servico/PTAX/versao/v1/odata/",
    # Four windows of offers, the last ending at 13 h, and the closing right after it.
    calendar=Calendar(("5,35 10-13 * * 1-5", "5 14 * * 1-5"), "America/Sao_Paulo"),
    terms="open data, Banco Central do Brasil (ODbL)",
    history_start=date(2000, 1, 1),
    kind="body",
    resources=_resources,
    parse=parse,
    publication={PTAX: Publication(_quoted_at, lambda part: _LAG)},
    plan=_plan,
    days={PTAX: _local_day},
    is_no_news=odata.is_no_news,
    repeats=json_rows.adds_nothing(odata.items),
    media="json",
    choosable=Choosable("currency", _DECLARED, _own),
)
