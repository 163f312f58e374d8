"""The legacy's formulas in SQL give what its own pandas code gave: written again here, row by row, on the same days."""

import math
import statistics
from datetime import date

import pytest

from migration import compare, rule_sets
from migration.views import SALVADOR
from tests.controls import differs
from tests.migration.measured_days import DAYS, day, lake_of_days


@pytest.fixture(scope="module")
def lake():
    return lake_of_days()


def above(value: object, limit: float) -> int:
    """As numpy compares: a missing value is not above."""
    return int(value is not None and float(str(value)) > limit)


def unified_by_hand(number: int) -> dict[str, object]:
    """`add_external_factors`, for one day."""
    row = day(number)
    on = row["date_on"]
    heat, rain, damp = (row[name] for name in ("temperature_mean_celsius", "rain_mm", "relative_humidity_mean_percent"))
    flags = above(heat, 32), above(rain, 50), above(damp, 80)
    prices, falls = above(row["ipca_12m_percent"], 5), above(row["usd_brl"], 5.3)
    holiday, vacation, renewal = int(number == 24), int(on.month == 7), int(on.month in (1, 7))
    climate = 0.3 * flags[0] + 0.4 * flags[1] + 0.2 * flags[2]
    economic = 0.5 * prices + 0.5 * falls
    operational = max(-1.0, min(1.0, 0.5 * renewal - 0.25 * vacation - 0.25 * holiday))
    return {
        "temperature": heat,
        "precipitation": rain,
        "humidity": damp,
        "extreme_heat": flags[0],
        "heavy_rain": flags[1],
        "high_humidity": flags[2],
        "exchange_rate_brl_usd": row["usd_brl"],
        "inflation_rate": row["ipca_12m_percent"],
        "high_inflation": prices,
        "currency_devaluation": falls,
        "5g_coverage": int(on >= date(2024, 1, 1)),
        "5g_expansion_rate": max(0, (on - date(2024, 1, 1)).days) / 365 * 0.2,
        "regulatory_compliance_date": None,
        "is_holiday": holiday,
        "is_carnival": int(number in (73, 74)),
        "is_vacation_period": vacation,
        "sla_renewal_period": renewal,
        "weekend": int(on.weekday() >= 5),
        "climate_impact": climate,
        "economic_impact": economic,
        "operational_impact": operational,
        "demand_adjustment_factor": 1 + 0.3 * climate + 0.1 * economic + 0.2 * max(0.0, min(1.0, operational)),
    }


def etl_by_hand(number: int) -> dict[str, object]:
    """The loaders of the three tables, for one day of the table in order of days."""
    row = day(number)
    heat, rain, damp = (row[name] for name in ("temperature_mean_celsius", "rain_mm", "relative_humidity_mean_percent"))
    rates = [float(str(day(n)["usd_brl"])) for n in range(DAYS)]
    shares = [float(str(day(n)["share_5g_percent"])) for n in range(DAYS)]
    window = rates[number - 29 : number + 1] if number >= 29 else []
    return {
        "is_extreme_heat": bool(above(heat, 35)),
        "is_cold": heat is not None and heat < 20,
        "is_heavy_rain": bool(above(rain, 50)),
        "is_intense_rain": bool(above(rain, 100)),
        "is_no_rain": rain is not None and rain == 0,
        "is_high_humidity": bool(above(damp, 80)),
        "corrosion_risk": 0.0 if rain is None else damp / 100 * (rain / 100),
        "field_work_disruption": 0.5 * above(rain, 50) + 0.3 * above(heat, 35),
        "fx_volatility_30d": statistics.stdev(window) if window else None,
        "is_devaluation": number >= 30 and rates[number] / rates[number - 30] - 1 > 0.05,
        "is_5g_active": shares[number] > 0,
        "is_5g_milestone": number > 0 and shares[number] - shares[number - 1] > 5,
    }


def unequal(lake, query: str, by_hand) -> list[str]:
    """Every value of the SQL that is not what the hand-written formula gives."""
    rows = lake.rows(f"SELECT * FROM ({query}) ORDER BY date_on")
    found = []
    for number, row in enumerate(rows):
        for name, expected in by_hand(number).items():
            value = row[name]
            both = isinstance(value, float) and isinstance(expected, float | int)
            is_same = math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9) if both else value == expected
            found += [] if is_same else [f"{name} of {row['date_on']}: {differs(value, expected)[0]}"]
    return found


def test_control_both_rule_sets_give_what_the_legacy_gave(lake, control):
    measured = rule_sets.days(SALVADOR)
    control.holds(unequal, lake, rule_sets.unified_v1(measured), unified_by_hand)
    other = rule_sets.unified_v1(measured).replace("> 5.3", "> 5.2")
    control.objects(unequal, lake, other, unified_by_hand, damage="currency_devaluation of 2024")
    control.holds(unequal, lake, rule_sets.etl_v1(measured), etl_by_hand)
    other = rule_sets.etl_v1(measured).replace("lag(rate, 30)", "lag(rate, 29)")
    control.objects(unequal, lake, other, etl_by_hand, damage="is_devaluation of 2024")


def test_the_31_columns_are_the_nine_of_the_items_and_22_factors(lake):
    names = lake.connection.sql(rule_sets.unified_v1(rule_sets.days(SALVADOR))).columns
    assert len(rule_sets.UNIFIED_COLUMNS) == 22
    assert set(rule_sets.UNIFIED_COLUMNS) == set(names) - {"date_on", "municipality_code"}


def test_every_difference_has_a_cause(lake):
    found = list(compare.compare(lake, SALVADOR))
    assert {(row["rule_set"], row["column"]) for row in found} == {
        (pair.rule_set, pair.theirs) for pair in compare.PAIRS
    }
    assert compare.UNEXPLAINED not in {row["cause"] for row in found}
    of_heat = {row["cause"]: row["days_differing"] for row in found if row["column"] == "is_extreme_heat"}
    missing = sum(number % 11 == 5 for number in range(DAYS))
    mean_not_max = sum(
        heat is not None and (heat > 35) != (heat + 4 > 35)
        for heat in (day(number)["temperature_mean_celsius"] for number in range(DAYS))
    )
    assert of_heat == {
        "a missing reading counted as one": missing,
        "compares the daily mean, ours the daily maximum": mean_not_max,
    }
