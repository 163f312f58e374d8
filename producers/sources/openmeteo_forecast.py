"""Open-Meteo, weather forecasts for the 27 capitals and places of the settings, hour by hour.

Only the newest forecast can be asked for: a run that was not polled is gone, and there is no history to fetch.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from producers.calendars import Calendar
from producers.families import openmeteo
from producers.model import CHUNK_ROWS, ApiKey, ApiRequest, Parsed, Part, Progress, Publication, Resource, Source

FORECAST = "openmeteo_forecast"
LATEST = "latest"
"""Key of the only part: the present forecast."""

# Sixteen days can be had. Beyond a week an hourly forecast says little more than the climate does, and every new run
# would publish more than twice as many rows.
_DAYS = 7


def parse(blocks: Iterable[bytes], part: Part, *, first_row: int = 0, chunk_rows: int = CHUNK_ROWS) -> Iterator[Parsed]:
    """A body of one point; the part's resource is its municipality code. Raises: InvalidContent.

    The body does not say which run it is from: `issued_at` is the hour in which it was fetched.
    """
    issued_at = part.retrieved_at.replace(minute=0, second=0, microsecond=0)
    yield from openmeteo.parsed(FORECAST, blocks, part, issued_at, first_row=first_row, chunk_rows=chunk_rows)


def _plan(resource: Resource, progress: Progress) -> Iterable[ApiRequest]:
    return [ApiRequest(LATEST, {**openmeteo.params(resource), "forecast_days": str(_DAYS)})]


def _period_end(records: pa.RecordBatch) -> pa.Array:
    """The hour of issue. With the lag it is later than any fetch in that hour: a forecast never has an assumed clock,
    which would put it before the moment at which we know that it existed."""
    return pc.cast(records.column("issued_at"), pa.timestamp("us", tz="UTC"))


SOURCE = Source(
    name=FORECAST,
    datasets=(FORECAST,),
    base_url="https://api.open-meteo.com/",
    calendar=Calendar(("23 */3 * * *",)),
    terms=openmeteo.TERMS,
    history_start=date(2025, 1, 1),
    kind="body",
    resources=lambda today, span: openmeteo.resources(FORECAST, "v1/forecast"),
    parse=parse,
    publication={FORECAST: Publication(_period_end, lambda part: timedelta(hours=1))},
    plan=_plan,
    is_no_news=openmeteo.is_no_news,
    repeats=openmeteo.repeats,
    throttled_for=openmeteo.throttled_for,
    media="json",
    choosable=openmeteo.CHOOSABLE,
    api_key=ApiKey("apikey", "https://customer-api.open-meteo.com/"),
    keeps_history=False,
)
