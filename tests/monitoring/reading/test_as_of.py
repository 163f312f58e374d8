"""as-of: what a forecaster could have known."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import as_of, instant, revisions
from schemas.contracts import load
from tests.monitoring.kit import Kit, at, value

MONTH = date(2025, 9, 1)


@pytest.fixture
def lake(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("bcb_sgs", value(433, MONTH, "0.48", at("2025-10-09T12:00:00")))
    kit.publish("bcb_sgs", value(433, MONTH, "0.50", at("2025-11-11T12:00:00")))
    kit.publish(
        "bcb_sgs",
        value(433, date(2025, 8, 1), "-0.11", at("2025-09-10T00:00:00")) | {"published_at_basis": "assumed_lag"},
    )
    kit.write()
    return Lake(kit.lake)


def known(lake, text, **options):
    found = as_of(lake, load("bcb_sgs"), instant(text), **options).to_pylist()
    return {row["reference_on"].month: row["value"] for row in found}


def test_the_version_of_that_instant_is_given_not_a_later_one(lake):
    assert known(lake, "2025-09-09") == {}
    assert known(lake, "2025-10-09T11:59:59Z") == {8: Decimal("-0.11")}
    assert known(lake, "2025-10-09T12:00:00Z") == {8: Decimal("-0.11"), 9: Decimal("0.48")}
    assert known(lake, "2026-01-01") == {8: Decimal("-0.11"), 9: Decimal("0.50")}


def test_a_date_is_the_end_of_its_utc_day(lake):
    assert instant("2025-11-11") == datetime(2025, 11, 11, 23, 59, 59, 999_999, UTC)
    assert known(lake, "2025-11-11")[9] == Decimal("0.50")
    assert known(lake, "2025-11-10")[9] == Decimal("0.48")


def test_assumed_clocks_can_be_left_out(lake):
    assert known(lake, "2026-01-01", measured_only=True) == {9: Decimal("0.50")}


def test_a_predicate_narrows_the_rows_and_not_the_versions(lake):
    """Where a value is asked for that only an older version had, nothing is given."""
    assert known(lake, "2026-01-01", where="value = 0.48") == {}
    assert known(lake, "2026-01-01", where="reference_on >= '2025-09-01'") == {9: Decimal("0.50")}


def test_nonsense_is_refused(lake):
    with pytest.raises(UsageError, match="neither a date nor a timestamp"):
        instant("yesterday")
    with pytest.raises(UsageError, match="frob"):
        known(lake, "2026-01-01", where="frob = 1")
    with pytest.raises(UsageError, match="does not exist yet"):
        as_of(lake, load("inmet_hourly"), instant("2026-01-01"))


def test_a_withdrawn_key_is_there_before_its_withdrawal_and_not_after(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("bcb_sgs", value(433, date(2025, 9, 1), "0.48", at("2025-10-09T12:00:00")))
    gone = at("2025-11-11T12:00:00")
    kit.withdraw("bcb_sgs", {"series_code": "433", "reference_on": "2025-09-01"}, published_at=gone)
    kit.write()
    lake = Lake(kit.lake)

    assert known(lake, "2025-11-10") == {9: Decimal("0.48")}
    assert known(lake, "2025-11-11") == {}
    assert lake.value("SELECT count(*) FROM silver.bcb_sgs") == 0
    found = revisions(lake, load("bcb_sgs"), {"series_code": "433", "reference_on": "2025-09-01"}).to_pylist()
    assert [(row["is_withdrawn"], row["value"] is None, row["known_from"]) for row in found][1:] == [(True, True, gone)]
