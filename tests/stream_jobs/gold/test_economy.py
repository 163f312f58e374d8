import math
import statistics
from datetime import date, timedelta
from decimal import Decimal

import pytest

from stream_jobs.gold import economy
from tests.stream_jobs.gold.memory_silver import instant, utc

DAY = date(2024, 6, 28)


def quotation(on, value, series=economy.USD_BRL, known="2025-01-10"):
    return {
        "series_code": series,
        "reference_on": on,
        "value": None if value is None else Decimal(str(value)),
        "known_from": instant(known),
    }


def month(on, value, known):
    return quotation(on, value, economy.IPCA_MONTHLY, known)


def factors(silver, *rows, on=DAY, until=None):
    """The features of one day, or of each day to `until`."""
    silver.add("bcb_sgs", *rows)
    days = {row.date_on: row for row in economy.by_day(silver.newest("bcb_sgs"), on, until or on).collect()}
    assert len(days) == ((until or on) - on).days + 1
    return days if until else days[on]


def test_a_quotation_is_carried_over_ten_days_and_no_more(silver):
    days = factors(silver, quotation(DAY, "5.5"), until=DAY + timedelta(days=11))
    assert days[DAY].usd_brl == days[DAY + timedelta(days=10)].usd_brl == Decimal("5.5")
    assert days[DAY + timedelta(days=11)].usd_brl is None


def test_the_newest_quotation_with_a_value_counts(silver):
    row = factors(
        silver,
        quotation(DAY - timedelta(days=2), "5.1"),
        quotation(DAY - timedelta(days=1), "5.2"),
        quotation(DAY, None),
        quotation(DAY + timedelta(days=1), "9.9"),
        quotation(DAY - timedelta(days=3), "10.5", economy.SELIC_TARGET),
    )
    assert (row.usd_brl, row.selic_target_percent) == (Decimal("5.2"), Decimal("10.5"))


def test_volatility_is_the_sample_deviation_of_the_thirty_days_that_end_on_the_date(silver):
    outside, inside = DAY - timedelta(days=30), DAY - timedelta(days=29)
    row = factors(
        silver,
        quotation(outside, "1.0"),
        quotation(inside, "5.0"),
        quotation(DAY - timedelta(days=3), "5.3"),
        quotation(DAY, "5.9"),
    )
    assert row.fx_volatility_30d == pytest.approx(statistics.stdev([5.0, 5.3, 5.9]), abs=1e-14)


def test_one_quotation_has_no_volatility(silver):
    assert factors(silver, quotation(DAY, "5.0")).fx_volatility_30d is None


@pytest.mark.parametrize(("base_age_days", "expected"), [(30, 10.0), (33, 10.0), (40, 10.0), (41, None), (29, None)])
def test_the_change_is_against_the_newest_quotation_thirty_days_before(silver, base_age_days, expected):
    row = factors(silver, quotation(DAY - timedelta(days=base_age_days), "5.0"), quotation(DAY, "5.5"))
    assert row.fx_change_30d_percent == (None if expected is None else pytest.approx(expected))
    assert row.is_devaluation is (None if expected is None else True)


@pytest.mark.parametrize(("today", "expected"), [("105", False), ("105.1", True), ("90", False)])
def test_a_devaluation_is_a_rise_of_more_than_five_percent(silver, today, expected):
    row = factors(silver, quotation(DAY - timedelta(days=30), "100"), quotation(DAY, today))
    assert row.is_devaluation is expected


# IPCA of 2023, IBGE table 1737, variables 63 (month) and 2265 (12 months, December): 4.62 %.
IPCA_2023 = ["0.53", "0.84", "0.71", "0.61", "0.23", "-0.08", "0.12", "0.23", "0.26", "0.24", "0.28", "0.56"]


def ipca_2023(*, without=None):
    """Each month known on the 10th of the next at 12:00 UTC."""
    return [
        month(date(2023, number, 1), value, f"{2023 + number // 12}-{number % 12 + 1:02d}-10T12:00")
        for number, value in enumerate(IPCA_2023, 1)
        if number != without
    ]


def test_twelve_months_accumulate_as_ibge_does(silver):
    row = factors(silver, *ipca_2023(), on=date(2024, 1, 15))
    assert row.ipca_monthly_percent == Decimal("0.56")
    product = math.prod(1 + float(value) / 100 for value in IPCA_2023)
    assert row.ipca_12m_percent == pytest.approx((product - 1) * 100, abs=1e-12)
    assert round(row.ipca_12m_percent, 2) == 4.62
    assert row.is_high_inflation is False


def test_a_missing_month_is_never_taken_as_zero(silver):
    row = factors(silver, *ipca_2023(without=7), on=date(2024, 1, 15))
    assert row.ipca_monthly_percent == Decimal("0.56")
    assert (row.ipca_12m_percent, row.is_high_inflation) == (None, None)


def test_high_inflation_is_more_than_six_percent(silver):
    flat = [month(date(2023, n, 1), "0", "2023-12-01") for n in range(1, 12)]
    silver.add("bcb_sgs", *flat, month(date(2023, 12, 1), "6", "2024-01-10"))
    assert factors(silver, on=DAY).is_high_inflation is False
    revised = month(date(2023, 12, 1), "6.01", "2024-01-11")
    assert factors(silver, revised, on=DAY).is_high_inflation is True


def test_a_month_is_carried_from_the_day_it_is_known(silver):
    days = factors(silver, *ipca_2023(), on=date(2023, 12, 9), until=date(2024, 1, 11))
    carried = {on: row.ipca_monthly_percent for on, row in days.items()}
    assert carried[date(2023, 12, 9)] == Decimal("0.24")
    assert carried[date(2023, 12, 10)] == carried[date(2024, 1, 9)] == Decimal("0.28")
    assert carried[date(2024, 1, 10)] == Decimal("0.56")


def test_an_older_month_that_is_known_later_does_not_take_over(silver):
    row = factors(
        silver,
        month(date(2024, 4, 1), "0.38", "2024-05-10"),
        month(date(2024, 3, 1), "0.16", "2024-06-01"),
        on=DAY,
    )
    assert row.ipca_monthly_percent == Decimal("0.38")


def test_nothing_known_is_null_throughout(silver):
    row = factors(silver)
    assert {name: value for name, value in row.asDict().items() if value is not None} == {
        "date_on": DAY,
        "is_quoted": False,
    }


SELIC = economy.SELIC_TARGET
MAY, APRIL = date(2024, 5, 1), date(2024, 4, 1)
USED = {
    "rate of the date": (economy.USD_BRL, DAY),
    "rate in the thirty days": (economy.USD_BRL, DAY - timedelta(days=29)),
    "base of the change": (economy.USD_BRL, DAY - timedelta(days=33)),
    "Selic target": (SELIC, DAY),
    "newest month": (economy.IPCA_MONTHLY, MAY),
    "month of the product": (economy.IPCA_MONTHLY, APRIL),
}
UNUSED = {
    "older base": (economy.USD_BRL, DAY - timedelta(days=34)),
    "older Selic target": (SELIC, DAY - timedelta(days=1)),
    "later rate": (economy.USD_BRL, DAY + timedelta(days=1)),
    "another series": (12, DAY),
}


@pytest.mark.parametrize("late", [*USED, *UNUSED])
def test_known_from_is_the_newest_of_the_values_that_are_used(silver, late):
    early, newest = "2024-06-10T12:00", "2024-06-27T12:00"
    values = [
        quotation(on, "1.5", series, newest if name == late else early)
        for name, (series, on) in (USED | UNUSED).items()
    ]
    assert utc(factors(silver, *values).known_from) == instant(newest if late in USED else early)
