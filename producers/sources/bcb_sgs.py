"""Banco Central do Brasil, time series (SGS): one JSON array per series and window of days."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa

from foundation.errors import InvalidContent
from producers import values
from producers.calendars import Calendar
from producers.columns import batch, map_distinct, reject
from producers.model import (
    CHUNK_ROWS,
    Ask,
    BadValueError,
    Parsed,
    Part,
    Progress,
    Publication,
    Reject,
    RejectReason,
    Resource,
    Source,
    Span,
)
from schemas.arrow import arrow_schema
from schemas.contracts import load

SGS = "bcb_sgs"
RECENT = "recent"
"""Key of the part that holds the newest window; older windows, fetched once, are keyed by their first day."""


@dataclass(frozen=True)
class Series:
    """One series: its frequency, and after how many days from a period's end its first value normally appears."""

    code: int
    name: str
    frequency: Literal["D", "M", "Q"]
    lag_days: int


# Lags are on the late side: a back-test must not know a value before a forecaster could.
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
    Series(24363, "IBC-Br, observed", "M", 50),
    Series(24364, "IBC-Br, seasonally adjusted", "M", 50),
    Series(25389, "regional activity, Northeast", "M", 60),
    Series(4380, "GDP, monthly, current prices", "M", 50),
    Series(22099, "GDP, quarterly, observed", "Q", 70),
    Series(24369, "unemployment, PNAD", "M", 32),
    Series(3697, "US dollar, buying, monthly mean", "M", 2),
    Series(3698, "US dollar, selling, monthly mean", "M", 2),
)
_BY_CODE = {series.code: series for series in SERIES}
_WINDOW = {"D": timedelta(days=90), "M": timedelta(days=730), "Q": timedelta(days=1460)}
_MONTHS = {"M": 1, "Q": 3}
_CUT_YEARS = 10  # longest window that a daily series answers

_SCHEMA = arrow_schema(load(SGS))
_NAMES = ("series_code", "reference_on", "reference_end_on", "value", "row_number")
_VALUE = values.decimal(28, 13)


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body `[{"data": "03/11/2020", "valor": "5.6895"}, …]`; the part's resource is the series number.

    Raises: InvalidContent when the body is not a JSON array of that kind.
    """
    series = _series_code(part.resource)
    items = _items(b"".join(blocks))
    start = first_row
    while start < len(items) or start == first_row:
        yield _chunk(series, items[start : start + chunk_rows], start)
        start += chunk_rows


def _chunk(series: int, items: Sequence[Any], start: int) -> Parsed:
    rows: list[tuple[Any, ...]] = []
    rejects: list[Reject] = []
    for number, item in enumerate(items, start):
        try:
            rows.append((series, *_row(item), number))
        except BadValueError as problem:
            rejects.append(reject(SGS, number, problem, json.dumps(item, ensure_ascii=False).encode(errors="replace")))
    columns = [pa.array([row[index] for row in rows], _SCHEMA.field(name).type) for index, name in enumerate(_NAMES)]
    return Parsed(start, start + len(items), {SGS: batch(_NAMES, columns, _SCHEMA)}, tuple(rejects))


def _row(item: Any) -> tuple[Any, Any, Any]:
    if not isinstance(item, dict) or "data" not in item or "valor" not in item:
        raise BadValueError(RejectReason.MALFORMED_ROW, "not an object with data and valor")
    texts = {name: "" if value is None else value for name, value in item.items()}
    if not all(isinstance(texts[name], str) for name in texts.keys() & {"data", "valor", "datafim", "dataFim"}):
        raise BadValueError(RejectReason.MALFORMED_ROW, "data and valor are not text")
    end = texts.get("datafim") or texts.get("dataFim") or ""
    return values.day(texts["data"]), values.day(end) if end.strip() else None, _VALUE(texts["valor"])


def _items(body: bytes) -> list[Any]:
    try:
        # Numbers stay as the source wrote them: a float would lose digits before the decimal is made.
        loaded = json.loads(body.decode("utf-8-sig"), parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise InvalidContent(f"not JSON: {error}") from None
    if isinstance(loaded, dict) and isinstance(loaded.get("data"), list):
        loaded = loaded["data"]  # how one public mirror wraps the array
    if not isinstance(loaded, list):
        raise InvalidContent(f"not a JSON array: {_detail(loaded)}")
    return loaded


def _detail(loaded: Any) -> str:
    error = loaded.get("erro") or loaded.get("error") if isinstance(loaded, dict) else loaded
    return str(error)[:200]


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
    return [Resource(str(series.code), f"bcdata.sgs.{series.code}/dados") for series in SERIES]


def _plan(resource: Resource, progress: Progress) -> Iterable[Ask]:
    """History once, in cuts of ten years, oldest first; then the newest window again at every poll.

    The newest window begins some time before the newest value last published, not before today: a series that stood
    still longer than a window, or a poller that did, leaves no hole.
    """
    today = progress.today
    if RECENT in progress.complete:
        body = progress.newest_body(RECENT)
        newest = _newest(body) if body else None
        start = (newest or today) - _WINDOW[_BY_CODE[int(resource.name)].frequency]
        start = max(start, _years_later(today, -_CUT_YEARS) + timedelta(days=1), progress.span.first)
        yield _ask(RECENT, start, today)
        return
    start = progress.span.first
    while (end := _years_later(start, _CUT_YEARS) - timedelta(days=1)) < today:
        if start.isoformat() not in progress.complete:
            yield _ask(start.isoformat(), start, end)
        start = end + timedelta(days=1)
    yield _ask(RECENT, start, today)


def _ask(key: str, first: date, last: date) -> Ask:
    return Ask(key, {"formato": "json", "dataInicial": f"{first:%d/%m/%Y}", "dataFinal": f"{last:%d/%m/%Y}"})


def _repeats(former: bytes, body: bytes) -> bool:
    """Windows slide, so bodies differ every day: what counts is whether an item is new or has another value."""
    try:
        known = {json.dumps(item, sort_keys=True) for item in _items(former)}
        return all(json.dumps(item, sort_keys=True) in known for item in _items(body))
    except InvalidContent:
        return False  # the parser will say what is wrong


def _newest(body: bytes) -> date | None:
    found = []
    for item in _items(body):
        try:
            found.append(_row(item)[0])
        except BadValueError:
            continue
    return max(found, default=None)


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The midnight, UTC, after the described day, month or quarter. Brasília's is three hours later; lags cover it."""
    codes = records.column("series_code")
    series = _BY_CODE.get(codes[0].as_py()) if len(codes) else None
    months = _MONTHS.get(series.frequency, 0) if series else 0

    def end(day: date) -> datetime:
        if months:
            carry, month = divmod(day.month - 1 + months, 12)
            return datetime(day.year + carry, month + 1, 1, tzinfo=UTC)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)

    return map_distinct(records.column("reference_on"), end, pa.timestamp("us", tz="UTC"))


def _lag(part: Part) -> timedelta:
    series = _BY_CODE.get(_series_code(part.resource))
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
    is_no_news=_is_no_news,
    repeats=_repeats,
    media="json",
)
