"""Scopes: what two editions have in common, what is left, and which records they state."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from producers.scope import EVERY_DAY, Scope, any_day, day_of, is_known

YEAR = (date(2025, 1, 1), date(2025, 12, 31))
JUNE = (date(2025, 6, 1), date(2025, 6, 30))


def scope(*days, datasets=("accesses",), where=()):
    return Scope(datasets, days, where)


def test_a_scope_is_its_text():
    found = Scope(("inmet_hourly", "inmet_stations"), (JUNE, YEAR), (("station_code", "A401"), ("table_id", 7)))
    assert Scope.of(found.text) == found


def test_what_two_scopes_share():
    assert scope(YEAR).common(scope(JUNE)) == scope(JUNE)
    assert scope(EVERY_DAY).common(scope(JUNE)) == scope(JUNE)
    assert scope((date(2025, 1, 1), date(2025, 6, 15))).common(scope(JUNE)) == scope(
        (date(2025, 6, 1), date(2025, 6, 15))
    )


@pytest.mark.parametrize(
    "other",
    [
        scope((date(2026, 1, 1), date(2026, 1, 31))),
        scope(YEAR, datasets=("totals",)),
        scope(YEAR, where=(("station_code", "A401"),)),
    ],
    ids=["other days", "other datasets", "other keys"],
)
def test_scopes_that_share_nothing(other):
    assert scope(YEAR).common(other) is None
    assert scope(YEAR).without(other) == scope(YEAR)


def test_a_month_taken_out_of_a_year_leaves_both_ends():
    assert scope(YEAR).without(scope(JUNE)) == scope(
        (date(2025, 1, 1), date(2025, 5, 31)), (date(2025, 7, 1), date(2025, 12, 31))
    )
    assert scope(JUNE).without(scope(YEAR)) is None
    assert scope(EVERY_DAY).without(scope(EVERY_DAY)) is None
    assert scope(EVERY_DAY).without(scope(YEAR)) == scope((date.min, date(2024, 12, 31)), (date(2026, 1, 1), date.max))


def test_the_days_of_two_become_one_stretch_where_they_meet():
    first, second = (date(2025, 1, 1), date(2025, 1, 31)), (date(2025, 2, 1), date(2025, 2, 28))
    assert scope(second).joined(scope(first)) == scope((date(2025, 1, 1), date(2025, 2, 28)))
    assert scope(first).joined(scope(JUNE)) == scope(first, JUNE)
    assert scope(EVERY_DAY).joined(scope(JUNE)) == scope(EVERY_DAY)


def test_which_records_a_scope_holds():
    instants = [datetime(2025, 6, 30, 23, 59, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC), None]
    records = pa.RecordBatch.from_pydict({"observed_at": pa.array(instants, pa.timestamp("us", tz="UTC"))})
    days = day_of("observed_at")(records)
    assert scope(JUNE).holds(days).to_pylist() == [True, False, False]
    assert scope(EVERY_DAY).holds(days).to_pylist() == [True, True, False]
    assert is_known(days, [scope(JUNE), scope((date(2025, 7, 1), date(2025, 7, 1)))]).to_pylist() == [True, True, False]
    assert scope(EVERY_DAY).holds(any_day(records)).to_pylist() == [True, True, True]
