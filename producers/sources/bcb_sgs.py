"""Banco Central do Brasil, time series (SGS): one JSON array per series and window of days."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import pyarrow as pa

from foundation.errors import InvalidContent
from producers import windows
from producers.calendars import Calendar
from producers.choosing import Fields
from producers.formats import json_rows, values
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

SGS = "bcb_sgs"


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        lag_days: days from a period's end to its first value, as a rule.
        unit: of a series of one's own; the declared ones have theirs in gold's `dim_economic_series`.
        is_revised: whether a new value may change all former ones: a seasonal adjustment is estimated again each month.
            Such a series is always asked whole (some 300 values, 12 KB), so that one answer holds one vintage. A recent
            window would leave the years before it as an older vintage had them. Never a daily one: those have a limit.
    """

    code: int
    name: str
    frequency: Literal["D", "M", "Q"]
    lag_days: int
    is_revised: bool = False
    unit: str = ""


# Lags are rather too long: a back-test must not use a value before a forecaster could know it.
SERIES = (
    Series(1, "US dollar, selling, PTAX closing", "D", 0),
    Series(10813, "US dollar, buying", "D", 0),
    Series(21619, "euro, selling", "D", 0),
    Series(432, "Selic target", "D", 0),
    Series(11, "Selic effective, daily", "D", 1),
    Series(12, "CDI, daily", "D", 1),
    Series(4392, "CDI accumulated in the month, annualised", "M", 2),
    Series(226, "TR", "D", 1),
    Series(256, "TJLP", "M", 2),
    Series(433, "IPCA", "M", 15),
    Series(13522, "IPCA, 12 months", "M", 15),
    Series(7478, "IPCA-15", "M", 2),
    Series(188, "INPC", "M", 15),
    Series(189, "IGP-M", "M", 3),
    Series(190, "IGP-DI", "M", 12),
    Series(24363, "IBC-Br, observed", "M", 50, is_revised=True),
    Series(24364, "IBC-Br, seasonally adjusted", "M", 50, is_revised=True),
    Series(25389, "regional activity, Northeast", "M", 60, is_revised=True),
    Series(4380, "GDP, monthly, current prices", "M", 50, is_revised=True),
    Series(22099, "GDP, quarterly, observed", "Q", 70, is_revised=True),
    Series(24369, "unemployment, PNAD", "M", 32, is_revised=True),
    Series(3697, "US dollar, buying, monthly mean", "M", 2),
    Series(3698, "US dollar, selling, monthly mean", "M", 2),
)
_DECLARED = {str(series.code): series for series in SERIES}
_OVERLAP = {"D": timedelta(days=90), "M": timedelta(days=730), "Q": timedelta(days=1460)}
_MONTHS = {"M": 1, "Q": 3}
_LONGEST = timedelta(days=3650)  # a daily series refuses windows of more than ten years
_WHOLE = timedelta(days=36_525)

_FIELDS = ("data", "valor", "datafim", "dataFim")
_ROWS = json_rows.Rows(SGS, ("series_code", "reference_on", "reference_end_on", "value"))
_VALUE = values.decimal(28, 13)


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body `[{"data": "03/11/2020", "valor": "5.6895"}, …]`; the part's resource is the series number.

    Raises: InvalidContent when the body is not a JSON array of that kind.
    """
    series = _series_code(part.resource)
    items = _items(b"".join(blocks))
    notes = json_rows.unknown_fields(items, _FIELDS)
    yield from _ROWS.chunks(
        items, lambda item: (series, *_row(item)), first_row=first_row, chunk_rows=chunk_rows, notes=notes
    )


def _row(item: Mapping[str, Any]) -> tuple[date, date | None, Decimal | None]:
    json_rows.require(item, ("data", "valor"), known=_FIELDS)
    day, value, *ends = (json_rows.text(item, name) for name in _FIELDS)
    end = next((text for text in ends if text.strip()), None)
    return values.reference_day(day), values.reference_day(end) if end else None, _VALUE(value)


def _items(body: bytes) -> list[Any]:
    loaded = json_rows.load(body)
    if isinstance(loaded, dict) and isinstance(loaded.get("data"), list):
        loaded = loaded["data"]  # the form in which one public mirror wraps the array
    if not isinstance(loaded, list):
        raise InvalidContent(f"not a JSON array: {_detail(loaded)}")
    return loaded


def _detail(loaded: Any) -> str:
    error = loaded.get("erro") or loaded.get("error") if isinstance(loaded, dict) else loaded
    return str(error)[:200]


def _own(key: str, fields: Fields) -> Series:
    if re.fullmatch(r"[1-9][0-9]{0,6}", key, re.ASCII) is None:
        raise ValueError("a series is named by its number in SGS, such as 20542")
    frequency = fields.one_of("frequency", ("D", "M", "Q"))
    is_revised = fields.flag("is_revised", default=False)
    if is_revised and frequency == "D":
        raise ValueError("is_revised cannot be true of a daily series: SGS gives at most ten years of one at once")
    return Series(
        int(key), fields.name("name"), frequency, fields.whole("lag_days", 0, 1500), is_revised, fields.name("unit")
    )


def polled() -> list[Series]:
    """The series that are polled, by this file and the settings."""
    return list(choices.polled(SGS, _DECLARED).values())


def _series_of(code: int) -> Series | None:
    return choices.known(SGS, _DECLARED).get(str(code))


def _series_code(resource: str) -> int:
    try:
        return int(resource)
    except ValueError:
        raise InvalidContent(f"{resource!r} is not a series number; name one with --series") from None


def _is_no_news(status: int, body: bytes) -> bool:
    """The window holds no value: 404 or 200 with `Value(s) not found`, or an empty array."""
    if status not in {200, 404}:
        return False
    return body.strip() == b"[]" or (len(body) < 4096 and b"Value(s) not found" in body)


def _resources(today: date, span: Span) -> Sequence[Resource]:
    return [Resource(str(series.code), f"bcdata.sgs.{series.code}/dados") for series in polled()]


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    series = choices.known(SGS, _DECLARED)[resource.name]
    longest, overlap = (_WHOLE, None) if series.is_revised else (_LONGEST, _OVERLAP[series.frequency])
    newest = partial(_newest, until=progress.today)
    for window in windows.plan(progress, longest=longest, overlap=overlap, newest=newest):
        days = {"dataInicial": f"{window.first:%d/%m/%Y}", "dataFinal": f"{window.last:%d/%m/%Y}"}
        scope = Scope((SGS,), ((window.first, window.last),), (("series_code", int(resource.name)),))
        yield ApiRequest(window.key, {"formato": "json", **days}, scope=scope)


def _newest(body: bytes, *, until: date) -> date | None:
    return json_rows.newest_day(_items(body), "data", until=until)


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The midnight, UTC, after the described day, month or quarter. Brasília's is three hours later; lags cover it."""
    codes = records.column("series_code")
    series = _series_of(codes[0].as_py()) if len(codes) else None
    months = _MONTHS.get(series.frequency, 0) if series else 0

    def end(day: date) -> datetime:
        if months:
            carry, month = divmod(day.month - 1 + months, 12)
            return datetime(day.year + carry, month + 1, 1, tzinfo=UTC)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)

    return map_distinct(records.column("reference_on"), end, pa.timestamp("us", tz="UTC"))


def _lag(part: Part) -> timedelta:
    series = _series_of(_series_code(part.resource))
    return timedelta(days=series.lag_days if series else 1)


SOURCE = Source(
    name=SGS,
    datasets=(SGS,),
    base_url="https://api.bcb.gov.br/dados/serie/",
    calendar=Calendar(("11 5,11,17,23 * * *",)),
    terms="open data, Banco Central do Brasil (ODbL)",
    history_start=date(2000, 1, 1),
    kind="body",
    resources=_resources,
    parse=parse,
    publication={SGS: Publication(_period_end, _lag)},
    plan=_plan,
    days={SGS: day_of("reference_on")},
    is_no_news=_is_no_news,
    repeats=json_rows.adds_nothing(_items),
    media="json",
    choosable=Choosable("series", _DECLARED, _own),
)
