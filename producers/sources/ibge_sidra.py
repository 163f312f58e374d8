"""IBGE, SIDRA: cells of statistical tables. Another service of IBGE says which periods of a table changed, and when.

So a poll requests that list first, and then only the changed periods. The day of a change is the publication clock.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa

from foundation import clock
from foundation.errors import InvalidContent
from producers.calendars import Calendar
from producers.choosing import Fields
from producers.families import sidra_cells, sidra_periods
from producers.formats import json_rows
from producers.formats.columns import map_distinct
from producers.model import (
    CHUNK_ROWS,
    ApiRequest,
    BadValueError,
    Choosable,
    Parsed,
    Part,
    PartState,
    Progress,
    Publication,
    RejectReason,
    Resource,
    Source,
    Span,
)
from producers.scope import Scope
from schemas import choices

SIDRA = "ibge_sidra"
VALUES, UNDATED = "values", "undated"
"""Keys of the parts: of periods with a day of change, and of periods that never got one. Of municipalities each period
is a part of its own, and its code follows the key."""


@dataclass(frozen=True)
class Table:
    """The polled part of one table.

    Attributes:
        level: 1 is Brazil as a whole; 6 its municipalities. Those are asked one period at a time: 5,571 cells and some
            2 MB, where all years together would be more than the 100,000 cells that SIDRA is believed to give at once.
        classification: the path elements that choose categories; a table that has some answers nonsense without them.
        lag_days: days from a period's end to its first value, on the late side: a back-test must not know a value
            before a forecaster could. Below zero where a year's value is out before the year is over.
        is_revised: whether a release may change all former values: then any new day of change has the whole table
            asked for, so that one answer holds one vintage, whichever periods the list of changes names.
    """

    number: int
    name: str
    variables: str
    periodicity: Literal["month", "quarter", "year"]
    lag_days: int
    classification: str = ""
    is_revised: bool = False
    level: Literal[1, 6] = 1
    is_own: bool = False

    @property
    def resource(self) -> str:
        """The name of its resource. One's own table has the question in it: another question has another cursor, and
        asks for all periods, while the parts of the former question stay as they are."""
        question = f" n{self.level} v{self.variables} {self.classification}".rstrip()
        return f"{self.number}{question if self.is_own else ''}"


TABLES = (
    Table(1737, "IPCA, since December 1979", "63,69,2263,2264,2265,2266", "month", 15),
    Table(
        7060,
        "IPCA by group, since 2020",
        "63",
        "month",
        15,
        "/c315/7169,7170,7445,7486,7558,7625,7660,7712,7766,7786",
    ),
    Table(7062, "IPCA-15", "355", "month", 2, "/c315/7169"),
    Table(1736, "INPC", "44", "month", 15),
    # Without its classification this table answers 200 and `..` in every cell.
    Table(5932, "quarterly GDP, growth", "6561", "quarter", 70, "/c11255/90707", is_revised=True),
    Table(5938, "yearly GDP", "37", "year", 720, is_revised=True),
    # A moving quarter is coded by its last month, so its end is that of a month.
    Table(6381, "unemployment, moving quarter", "4099", "month", 32, is_revised=True),
    # The population of 1 July, for the share of each municipality in federal funds: out by the end of August.
    Table(6579, "estimated population of the municipalities", "9324", "year", -121, level=6),
)
_DECLARED = {str(table.number): table for table in TABLES}

_PERIODS = "https://servicodados.ibge.gov.br/api/v3/agregados/{}/periodos"
_RELEASE = time(9, tzinfo=ZoneInfo("America/Sao_Paulo"))
_MOVED_ON = timedelta(days=7)
_FAR = datetime(9999, 1, 1, tzinfo=UTC)

_ROWS = json_rows.Rows(SIDRA, ("table_id", *sidra_cells.FIELDS))


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body `[header, {"NC": "1", "V": "0.09", "D2C": "63", …}, …]`; the part's resource is the table's number.

    Raises: InvalidContent when the body is no such array, or its header says not what each dimension is.
    """
    number = _table_number(part.resource)
    header, cells = sidra_cells.items(b"".join(blocks))
    layout = sidra_cells.layout(header, cells)
    table = _table(number)

    def read(cell: Mapping[str, Any]) -> tuple[Any, ...]:
        found = layout.read(cell)
        if table and sidra_periods.last_day(found[layout.PERIOD], table.periodicity) is None:
            raise BadValueError(RejectReason.BAD_DATE, f"no {table.periodicity}: {found[layout.PERIOD]!r}")
        return number, *found

    yield from _ROWS.chunks(cells, read, first_row=first_row, chunk_rows=chunk_rows, notes=layout.notes)


def polled() -> list[Table]:
    """The tables that are polled, by this file and the settings."""
    return list(choices.polled(SIDRA, _DECLARED).values())


def _table(number: int) -> Table | None:
    return choices.known(SIDRA, _DECLARED).get(str(number))


def _own(key: str, fields: Fields) -> Table:
    if re.fullmatch(r"[1-9][0-9]{0,4}", key, re.ASCII) is None:
        raise ValueError("a table is named by its number in SIDRA, such as 1419")
    return Table(
        int(key),
        fields.name("name"),
        fields.text("variables", form=r"[0-9]+(,[0-9]+)*", is_said="codes of variables with commas, such as '63,2265'"),
        fields.one_of("periodicity", ("month", "quarter", "year")),
        fields.whole("lag_days", -366, 1500),
        fields.text(
            "classification",
            form=r"(/c[0-9]+/[0-9]+(,[0-9]+)*)+",
            is_said="as in SIDRA's addresses, such as '/c315/7169,7170'",
            default="",
        ),
        fields.flag("is_revised", default=False),
        fields.one_of("level", (1, 6), default=1),
        is_own=True,
    )


def _table_number(resource: str) -> int:
    """The number at the beginning of a resource's name."""
    resource = resource.partition(" ")[0]
    if not (resource.isascii() and resource.isdecimal() and len(resource) < 10):
        raise InvalidContent(f"{resource!r} is not a table's number; name one with --table")
    return int(resource)


def _is_no_news(status: int, body: bytes) -> bool:
    """Whether there is a header and no cell: the requested periods are empty."""
    if status != 200 or len(body) > 4096:
        return False
    try:
        return not sidra_cells.items(body)[1]
    except InvalidContent:
        return False


def _resources(today: date, span: Span) -> Sequence[Resource]:
    """One resource per table; `{}` in its path is the place of the periods."""
    return [
        Resource(
            table.resource,
            f"values/t/{table.number}/n{table.level}/all/v/{table.variables}/p/{{}}{table.classification}",
        )
        for table in polled()
    ]


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    """Request the list of changes, and then the periods that changed since, the oldest day of change first.

    The first time, all history comes in one answer under its newest day: each value is dated by its period and lag,
    where that is earlier. The last seen day is requested again, because more changes may have followed on it. Periods
    that are wanted since the history begins earlier are asked for once, as a part of their own, as a backfill's are.
    """
    table = choices.known(SIDRA, _DECLARED)[str(_table_number(resource.name))]
    listed = sidra_periods.listed(progress.look(_PERIODS.format(table.number), {}))
    wanted = [period for period in listed if _is_owned(period, table, progress.span)]
    if table.level != 1:
        yield from _plan_by_period(resource, table, progress, wanted)
        return
    dated = [period for period in wanted if period.changed_on]
    # A backfill has other days, and so other parts.
    suffix = "" if progress.span.last == date.max else f" {progress.span.first}..{progress.span.last}"
    state = _published_part(progress, VALUES + suffix)
    since = _asked_since(state.published_at) if state and state.published_at else None
    for changed_on, periods in sidra_periods.groups(listed, dated, since, is_revised=table.is_revised):
        yield _request(resource, table, VALUES + suffix, periods, _published(changed_on))
    if since and not table.is_revised and not suffix:
        yield from _plan_earlier(resource, table, progress, [each for each in dated if _is_before(each, since)], listed)
    if undated := [period.code for period in wanted if period.changed_on is None]:
        periods = sidra_periods.bounded(sidra_periods.text_of(listed, undated))
        yield _request(resource, table, UNDATED + suffix, periods, None)


def _is_before(period: sidra_periods.Period, since: date) -> bool:
    return period.changed_on is not None and period.changed_on < since


def _plan_earlier(
    resource: Resource,
    table: Table,
    progress: Progress,
    unchanged: Sequence[sidra_periods.Period],
    listed: Sequence[sidra_periods.Period],
) -> Iterator[ApiRequest]:
    """The periods that end before the days which were asked for so far."""
    begin, end = progress.span.first, progress.read_since
    if end is None or begin >= end:
        return
    earlier = [each for each in unchanged if _is_owned(each, table, Span(begin, end - timedelta(days=1)))]
    for changed_on, periods in sidra_periods.groups(listed, earlier, None, is_revised=False):
        key = f"{VALUES} {begin}..{end - timedelta(days=1)}"
        yield _request(resource, table, key, periods, _published(changed_on))


def _plan_by_period(
    resource: Resource, table: Table, progress: Progress, wanted: Sequence[sidra_periods.Period]
) -> Iterator[ApiRequest]:
    """Each period that changed since it was published, or was published while its day of change was not over yet."""
    for period in wanted:
        key = f"{VALUES} {period.code}"
        changed_on = period.changed_on
        if not _is_published(_published_part(progress, key), changed_on):
            yield _request(resource, table, key, period.code, _published(changed_on) if changed_on else None)


def _is_published(state: PartState | None, changed_on: date | None) -> bool:
    """Whether a part has all that IBGE changed up to the end of that day."""
    if state is None or changed_on is None:
        return state is not None
    known_on = _civil_day(state.published_at) if state.published_at else date.min
    return changed_on <= known_on and changed_on < _civil_day(state.retrieved_at)


def _published_part(progress: Progress, key: str) -> PartState | None:
    return progress.state(key) if key in progress.complete else None


def _asked_since(published_at: datetime) -> date:
    """The first day of change that is asked for again: the one last published.

    A clock that is no hour of release was moved on, past that of another part. What changed in the days before it may
    then not have been published yet.
    """
    day = _civil_day(published_at)
    is_release = published_at == datetime.combine(day, _RELEASE)
    return day if is_release else day - _MOVED_ON


def _civil_day(instant: datetime) -> date:
    """In Brasília, whose days IBGE's dates of change are."""
    return instant.astimezone(_RELEASE.tzinfo).date()


def _request(resource: Resource, table: Table, key: str, periods: str, published_at: datetime | None) -> ApiRequest:
    scope = Scope((SIDRA,), sidra_periods.days_of(periods, table.periodicity), (("table_id", table.number),))
    return ApiRequest(key, {"formato": "json"}, resource.path.format(periods), published_at, scope)


def _day(records: pa.RecordBatch) -> pa.Array:
    """The last day of the period."""
    tables = records.column("table_id")
    table = _table(tables[0].as_py()) if len(tables) else None
    return map_distinct(
        records.column("period_code"),
        lambda code: sidra_periods.last_day(code, table.periodicity) if table else None,
        pa.date32(),
    )


def _published(changed_on: date) -> datetime:
    """IBGE releases at nine in the morning; never a moment that is still to come."""
    return min(datetime.combine(changed_on, _RELEASE).astimezone(UTC), clock.now())


def _is_owned(period: sidra_periods.Period, table: Table, span: Span) -> bool:
    last_day = sidra_periods.last_day(period.code, table.periodicity)
    return last_day is not None and span.owns(last_day)


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The midnight, UTC, after the period. Brasília's is three hours later; lags cover it."""
    tables = records.column("table_id")
    table = _table(tables[0].as_py()) if len(tables) else None

    def end(code: str) -> datetime:
        last_day = sidra_periods.last_day(code, table.periodicity) if table else None
        if last_day is None:
            return _FAR  # an undeclared table is never polled, so there is no assumed lag
        return datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC) + timedelta(days=1)

    return map_distinct(records.column("period_code"), end, pa.timestamp("us", tz="UTC"))


def _lag(part: Part) -> timedelta:
    table = _table(_table_number(part.resource))
    return timedelta(days=table.lag_days if table else 0)


SOURCE = Source(
    name=SIDRA,
    datasets=(SIDRA,),
    base_url="https://apisidra.ibge.gov.br/",
    # Once a day whatever happens. Releases are at nine, on these days of a month as a rule: GDP 1 to 5, IPCA and INPC
    # 8 to 12, IPCA-15 and unemployment 23 to 31. Then every ten minutes: what is asked is eight short lists of dates.
    calendar=Calendar(
        ("10 15 * * *", "*/10 9 1-5,8-12,23-31 * *", "0 10 1-5,8-12,23-31 * *"),
        "America/Sao_Paulo",
    ),
    terms="open data, IBGE (free use, source to be named)",
    history_start=date(1979, 12, 1),
    kind="body",
    resources=_resources,
    parse=parse,
    publication={SIDRA: Publication(_period_end, _lag)},
    plan=_plan,
    days={SIDRA: _day},
    is_no_news=_is_no_news,
    repeats=json_rows.adds_nothing(lambda body: sidra_cells.items(body)[1]),
    media="json",
    hosts=("servicodados.ibge.gov.br",),
    choosable=Choosable("table", _DECLARED, _own),
)
