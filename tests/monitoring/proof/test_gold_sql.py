"""Gold's definitions in SQL give the numbers that were computed by hand."""

import statistics
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from monitoring.lake import Lake
from monitoring.proof.checks.gold_definition import reference_tables
from monitoring.proof.checks.gold_sql import DEFINITIONS
from tests.monitoring.kit import REFERENCE, Kit, accesses, at, hour, small_lake, value


def rows(kit, table, where="true"):
    (definition,) = (each for each in DEFINITIONS if each.table == table)
    held = Lake(kit.lake)
    for dataset in definition.datasets:
        if not held.has(f"silver.{dataset}_revisions"):
            kit.write_silver(dataset)
    lake = Lake(kit.lake)
    lake.connection.execute(reference_tables(str(REFERENCE)))
    return lake.rows(f"FROM ({definition.query}) WHERE {where} ORDER BY ALL")


def factors(kit, where="weather_source IS NOT NULL"):
    """Capital-days with weather; a quoted day alone has a row in every capital."""
    return rows(kit, "external_factors_daily", where)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("gold"))


def test_a_civil_day_is_the_one_of_the_stations_state_capital(kit):
    """48 hours from 03:00 UTC are exactly two days in Salvador (UTC-3); the first hour was corrected to 36.5."""
    first, second = rows(kit, "fact_weather_daily")
    assert (first["date_on"], second["date_on"]) == (date(2024, 3, 4), date(2024, 3, 5))
    assert (first["hours_observed"], first["rain_hours_observed"], first["is_complete"]) == (24, 24, True)
    assert first["rain_mm"] == pytest.approx(60)
    assert (first["temperature_max_celsius"], first["temperature_min_celsius"]) == (36.5, 25)
    assert second["temperature_mean_celsius"] == pytest.approx(statistics.mean(25 + n % 12 for n in range(24, 48)))
    assert first["known_from"] > second["known_from"]


def test_a_day_without_a_value_is_a_row_of_nulls(tmp_path):
    kit = Kit(tmp_path)
    empty = dict.fromkeys(hour(at("2024-01-01T12:00:00")).keys() - {"station_code", "observed_at"})
    kit.publish("inmet_hourly", hour(at("2024-01-01T12:00:00"), **empty) | empty)
    kit.publish("inmet_stations", {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    kit.write()
    (row,) = rows(kit, "fact_weather_daily")
    assert (row["hours_observed"], row["rain_mm"], row["temperature_mean_celsius"], row["is_complete"]) == (
        0,
        None,
        None,
        False,
    )


def test_a_station_dimension_row_ends_the_day_before_the_next(tmp_path):
    kit = Kit(tmp_path)
    for year, name in ((2018, "OLD"), (2020, "NEW")):
        kit.publish(
            "inmet_stations", {"station_code": "A807", "valid_from_on": date(year, 1, 1), "uf": "PR", "name": name}
        )
    kit.write()
    found = [(row["name"], row["valid_to_on"]) for row in rows(kit, "dim_weather_station")]
    assert found == [("OLD", date(2019, 12, 31)), ("NEW", None)]


def test_accesses_are_summed_and_providers_counted_once(kit):
    found = [
        (row["reference_month_on"], row["accesses"], row["providers"])
        for row in rows(kit, "fact_broadband_accesses_monthly")
    ]
    assert found == [(date(2026, 1, 1), 15, 2), (date(2026, 2, 1), 12, 1)]


def test_weather_flags_follow_their_thresholds(kit):
    first, second = factors(kit)
    assert (first["is_extreme_heat"], second["is_extreme_heat"]) == (True, True)  # 36.5, and 36 on the second day
    assert (first["is_heavy_rain"], first["is_intense_rain"], first["is_cold"]) == (True, False, False)
    assert first["is_high_humidity"] is True
    assert first["corrosion_risk"] == pytest.approx(0.9 * 0.6)
    assert first["field_work_disruption"] == pytest.approx(Decimal("0.8"))


def test_the_windows_of_weather_grow_by_the_day_and_count_what_they_know(kit):
    first, second = factors(kit)
    assert [row["rain_30d_mm"] for row in (first, second)] == pytest.approx([60, 120])
    assert [row["days_observed_30d"] for row in (first, second)] == [1, 2]
    assert [row["heavy_rain_days_30d"] for row in (first, second)] == [1, 2]
    assert second["temperature_mean_30d_celsius"] == pytest.approx(
        (first["temperature_mean_celsius"] + second["temperature_mean_celsius"]) / 2
    )


def test_inhabitants_are_not_known_before_their_estimate_was(kit):
    """The estimate of 2021 was fetched in 2026: no day of 2024 may use it."""
    assert [row["population"] for row in factors(kit)] == [None, None]
    (row,) = rows(kit, "dim_municipality_population")
    assert (row["valid_from_on"], row["valid_to_on"], row["population"]) == (date(2021, 7, 1), None, 2900319)


def test_the_dollar_is_the_newest_its_change_is_against_thirty_days_before(kit):
    """Day n of the series from 25 January is 5.00 + n/100; 4 March is day 39, 3 February day 9."""
    first = factors(kit)[0]
    assert first["usd_brl"] == Decimal("5.39")
    assert first["fx_change_30d_percent"] == pytest.approx((5.39 / 5.09 - 1) * 100)
    assert first["is_devaluation"] is True
    assert first["fx_volatility_30d"] == pytest.approx(statistics.stdev(5 + n / 100 for n in range(10, 40)))


def test_a_quotation_is_carried_ten_days_and_no_further(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("inmet_stations", {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    kit.publish("inmet_hourly", *(hour(at("2024-03-01T12:00:00") + timedelta(days=n)) for n in (10, 11)))
    kit.publish("bcb_sgs", value(1, date(2024, 3, 1), "5"))
    kit.write()
    assert [row["usd_brl"] for row in factors(kit)] == [Decimal("5"), None]


def test_inflation_is_the_newest_month_known_on_the_date_over_twelve_months(kit):
    """January 2024 becomes known on 15 February; twelve months of 0.5 % compound."""
    first = factors(kit)[0]
    assert first["ipca_monthly_percent"] == Decimal("0.5")
    assert first["ipca_12m_percent"] == pytest.approx((1.005**12 - 1) * 100)
    assert first["is_high_inflation"] is True


def test_inflation_over_fewer_than_twelve_months_is_null_and_a_later_month_is_not_known_yet(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("inmet_stations", {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    kit.publish("inmet_hourly", hour(at("2024-03-11T12:00:00")), hour(at("2024-03-12T12:00:00")))
    kit.publish(
        "bcb_sgs",
        value(433, date(2024, 1, 1), "0.42", at("2024-02-08T12:00:00")),
        value(433, date(2024, 2, 1), "0.83", at("2024-03-12T12:00:00")),
    )
    kit.write()
    found = [(row["ipca_monthly_percent"], row["ipca_12m_percent"]) for row in factors(kit)]
    assert found == [(Decimal("0.42"), None), (Decimal("0.83"), None)]


def test_known_from_is_the_newest_of_the_inputs(tmp_path):
    kit = Kit(tmp_path)
    newest = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
    kit.publish("inmet_stations", {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    kit.publish("inmet_hourly", hour(at("2024-03-11T12:00:00"), published_at=at("2024-03-12T00:00:00")))
    kit.publish("bcb_sgs", value(432, date(2024, 3, 11), "10.75", newest))
    kit.publish("anatel_broadband_accesses", accesses(date(2026, 1, 1), 1))
    kit.write()
    assert [row["known_from"] for row in factors(kit)] == [newest]
