"""Open-Meteo, past weather at the 27 capitals and at places of the settings, hour by hour.

"Past" is not final: the body of a day holds all its hours, so that those after the fetch are forecasts (`is_forecast`),
and the last days are computed again for a week. So the last ten days are asked for at every poll.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from producers import windows
from producers.calendars import Calendar
from producers.families import openmeteo
from producers.model import CHUNK_ROWS, ApiKey, ApiRequest, Parsed, Part, Progress, Publication, Resource, Source
from producers.scope import Scope, day_of

ARCHIVE = "openmeteo_archive"

_LONGEST = timedelta(days=365)
_OVERLAP = timedelta(days=10)  # five to seven days are rewritten, and after an incident it took longer
_FINAL_AFTER = timedelta(days=7)


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body of one point; the part's resource is its municipality code. Raises: InvalidContent.

    An hour is a forecast if it ends after the moment of the fetch. `valid_at` is that end: precipitation is of the hour
    before it, the other values are of it. At the very moment the hour is over, and the value is of the past.
    """
    for each in openmeteo.parsed(ARCHIVE, blocks, part, None, first_row=first_row, chunk_rows=chunk_rows):
        hours = each.records[ARCHIVE]
        is_forecast = pc.greater(hours.column("valid_at"), pa.scalar(part.retrieved_at, pa.timestamp("us", tz="UTC")))
        yield replace(each, records={ARCHIVE: hours.append_column("is_forecast", is_forecast)})


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    for window in windows.plan(progress, longest=_LONGEST, overlap=_OVERLAP, newest=openmeteo.newest_day):
        days = {"start_date": window.first.isoformat(), "end_date": window.last.isoformat()}
        scope = Scope((ARCHIVE,), ((window.first, window.last),), (("point_id", resource.name),))
        yield ApiRequest(window.key, {**openmeteo.params(resource), **days}, scope=scope)


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The hour itself: values are of that moment, or of the hour before it."""
    return pc.cast(records.column("valid_at"), pa.timestamp("us", tz="UTC"))


SOURCE = Source(
    name=ARCHIVE,
    datasets=(ARCHIVE,),
    base_url="https://archive-api.open-meteo.com/",
    calendar=Calendar(("37 1,7,13,19 * * *",)),
    terms=openmeteo.TERMS,
    # Days before it are for a backfill: a year of a point counts as some 26 of the 10,000 free calls of a day.
    history_start=date(2025, 1, 1),
    kind="body",
    resources=lambda today, span: openmeteo.resources(ARCHIVE, "v1/archive"),
    parse=parse,
    # What history holds when first seen is the final computation, not the forecast that stood there on the day.
    publication={ARCHIVE: Publication(_period_end, lambda part: _FINAL_AFTER)},
    plan=_plan,
    days={ARCHIVE: day_of("valid_at")},
    is_no_news=openmeteo.is_no_news,
    repeats=openmeteo.repeats,
    confirms=openmeteo.confirms,
    throttled_for=openmeteo.throttled_for,
    media="json",
    choosable=openmeteo.CHOOSABLE,
    # 600 calls a minute are free, and a year of a point counts as some 26 (days / 14, as far as is known).
    pause=timedelta(seconds=3),
    api_key=ApiKey("apikey", "https://customer-archive-api.open-meteo.com/"),
)
