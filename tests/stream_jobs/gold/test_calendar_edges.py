"""Days that calendars make special: begin and end of summer time, the turn of a year, the day after 28 February."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from stream_jobs.gold.model import GoldTable
from stream_jobs.gold.tables import external_factors_daily, fact_weather_daily
from tests.stream_jobs.gold.batch_oracle import Rows, from_scratch, keyed
from tests.stream_jobs.gold.memory_silver import MemorySilver, affected

STATION, UF, ZONE = "A701", "SP", ZoneInfo("America/Sao_Paulo")
"""The capital's station in a state that had summer time until 2019."""

EDGES = [(date(2018, 11, 3), 3), (date(2019, 2, 15), 4), (date(2023, 12, 30), 4), (date(2024, 2, 28), 3)]
"""The first civil day of each stretch, and how many there are."""

LENGTHS = {
    date(2018, 11, 3): 24, date(2018, 11, 4): 23, date(2018, 11, 5): 24,
    date(2019, 2, 15): 24, date(2019, 2, 16): 25, date(2019, 2, 17): 24, date(2019, 2, 18): 24,
    date(2023, 12, 30): 24, date(2023, 12, 31): 24, date(2024, 1, 1): 24, date(2024, 1, 2): 24,
    date(2024, 2, 28): 24, date(2024, 2, 29): 24, date(2024, 3, 1): 24,
}  # fmt: skip
"""Hours of each of those days, as the law had it: the clock went forward at midnight to 4 November 2018, and back at
midnight to 17 February 2019, for the last time."""


def instants() -> Iterator[datetime]:
    """Every hour of those days on the wall clock, each as the instant it is."""
    for first, days in EDGES:
        midnights = [datetime.combine(first + timedelta(days=n), datetime.min.time(), ZONE) for n in (0, days)]
        at, end = (midnight.astimezone(UTC) for midnight in midnights)
        while at < end:
            yield at
            at += timedelta(hours=1)


def filled(silver: MemorySilver) -> MemorySilver:
    """One warm and one wet hour in each of them, so that sums and extremes tell days apart."""
    silver.add("inmet_stations", {"station_code": STATION, "valid_from_on": date(2018, 1, 1), "uf": UF})
    values = [{"air_temperature_celsius": 10.0 + n % 17, "rain_mm": n % 5 / 2} for n, _ in enumerate(instants())]
    rows = [{"station_code": STATION, "observed_at": at, **value} for at, value in zip(instants(), values, strict=True)]
    silver.add("inmet_hourly", *rows)
    return silver


def computed(table: GoldTable, silver: MemorySilver) -> Rows:
    """The table as the gold query computes it, from all that silver holds."""
    groups = affected(table, silver, {name: silver.revisions(name) for name in silver.rows})
    return keyed(table.keys, [row.asDict() for row in table.recompute(silver, groups).collect()])


def test_days_of_summer_time_have_23_and_25_hours_and_every_other_day_24(silver):
    assert Counter(at.astimezone(ZONE).date() for at in instants()) == LENGTHS, "the test's own calendar"
    found = computed(fact_weather_daily.TABLE, filled(silver))
    hours = {row["date_on"]: row["hours_observed"] for row in found.values()}
    assert hours == {day.isoformat(): count for day, count in LENGTHS.items()}
    assert found == from_scratch("fact_weather_daily", silver)


@pytest.mark.slow
def test_factors_whose_windows_cross_the_turn_of_a_year_or_a_leap_day_are_those_computed_from_scratch(silver):
    found = computed(external_factors_daily.TABLE, filled(silver))
    days = {row["date_on"] for row in found.values()}
    assert {"2018-11-04", "2019-02-17", "2023-12-31", "2024-01-01", "2024-02-29"} <= days
    assert found == from_scratch("external_factors_daily", silver)
