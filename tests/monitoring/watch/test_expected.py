"""What a source should have published by now: a period counts as missing only after its time."""

from datetime import UTC, date, datetime, timedelta

import pytest

from correnteza.publications import expected
from monitoring.watch.expected import GRACE, Expected, by_source, missing
from producers import sources
from stream_jobs.silver.tables import model


def sequence(step, lag=timedelta(0), subject=None):
    return Expected("s", "silver.s", "day", step, lag, subject)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("step", "newest", "now", "count"),
    [
        ("month", date(2026, 9, 1), "2026-11-02", 0),  # October ended two days ago: quiet, not late
        ("month", date(2026, 9, 1), "2026-11-08", 1),  # its week of grace is over
        ("month", date(2026, 9, 1), "2027-01-08", 3),
        ("month", date(2026, 10, 1), "2026-11-20", 0),
        ("month", "202509", "2025-11-08", 1),
        ("quarter", "202502", "2025-10-10", 0),
        ("quarter", "202502", "2025-10-15", 1),
        ("quarter", date(2025, 4, 1), "2026-01-15", 2),
        ("year", "2023", "2025-02-10", 0),
        ("year", "2023", "2025-02-15", 1),
        ("day", date(2026, 11, 20), "2026-11-22", 0),
        ("day", date(2026, 11, 20), "2026-11-25", 2),
        ("day", at("2026-11-20T23:00"), "2026-11-25", 2),
        ("day", date(2027, 1, 1), "2026-11-25", 0),  # a forecast is ahead
        ("business_day", date(2026, 11, 20), "2026-11-28", 0),  # a Friday, and a week-end after it
        ("business_day", date(2026, 11, 20), "2026-11-29", 1),  # Monday's five days are over
        ("business_day", date(2026, 11, 20), "2026-11-30", 2),
    ],
)
def test_periods_that_should_have_come_are_counted(step, newest, now, count):
    assert missing(sequence(step), newest, at(now)) == count


def test_a_lag_delays_all_periods():
    late = sequence("month", timedelta(days=33))
    assert missing(late, date(2026, 9, 1), at("2026-12-05")) == 0
    assert missing(late, date(2026, 9, 1), at("2026-12-12")) == 1


def test_a_source_misses_what_all_its_sequences_miss_and_one_without_periods_is_left_out():
    one, two = sequence("month", subject=("series", 1)), sequence("month", subject=("series", 2))
    newest = {one: date(2026, 8, 1), two: date(2026, 10, 1)}
    assert by_source([one, two], newest, at("2026-11-20")) == {"s": 2}
    assert by_source([one, two], {}, at("2026-11-20")) == {}


def test_nothing_is_missing_while_it_comes_on_time_over_years():
    """A source that publishes each month with its lag is never late on any day."""
    monthly = sequence("month", timedelta(days=15))
    for n in range(800):
        now = at("2024-01-20") + timedelta(days=n)
        published = (now - monthly.lag - GRACE["month"]).replace(day=1) - timedelta(days=1)
        assert missing(monthly, published.date(), now) == 0


def test_what_is_expected_is_of_sources_and_tables_that_there_are():
    tables = {f"silver.{name}" for name in model.discover()}
    assert {each.source for each in expected()} <= sources.load_all().keys()
    assert {each.table for each in expected()} <= tables
    assert len(set(expected())) == len(expected())
