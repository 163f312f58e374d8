from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql.types import StructType

from stream_jobs.gold.groups import Groups
from stream_jobs.gold.reference import capitals
from stream_jobs.gold.tables import external_factors_daily
from tests.stream_jobs.gold.memory_silver import affected, hours_of, instant, named, utc

TABLE = external_factors_daily.TABLE
DAY = date(2024, 6, 28)
SALVADOR = "2927408"


def rows_of(silver, frame, *days, municipalities=(SALVADOR,)):
    groups = frame("date_on DATE, municipality_code STRING", *((day, code) for day in days for code in municipalities))
    return TABLE.recompute(silver, Groups(silver.spark, groups.toArrow())).collect()


def salvador(silver, frame, **hours):
    silver.add("inmet_hourly", *hours_of("A401", DAY, **hours))
    (row,) = rows_of(silver, frame, DAY)
    return row


def test_the_columns_are_the_schemas_in_order(silver, frame):
    row = salvador(silver, frame)
    assert list(row.asDict()) == StructType.fromDDL(TABLE.schema).names
    assert (row.date_on, row.municipality_code, row.uf, row.station_code) == (DAY, SALVADOR, "BA", "A401")


def test_a_capital_has_a_row_for_its_weather_and_for_every_quoted_day(silver, frame):
    silver.add("inmet_hourly", *hours_of("A401", DAY), *hours_of("A999", DAY), *hours_of("A401", DAY + timedelta(2)))
    silver.add("inmet_stations", {"station_code": "A999", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    silver.add("bcb_sgs", {"series_code": 1, "reference_on": DAY, "value": Decimal("5.5")})
    days = [DAY + timedelta(days=n) for n in range(4)]
    codes = [capital.municipality_code for capital in capitals()]
    rows = rows_of(silver, frame, *days, municipalities=codes)
    with_weather = {(row.date_on, row.station_code) for row in rows if row.weather_source}
    assert with_weather == {(days[0], "A401"), (days[2], "A401")}
    assert {(row.date_on, row.municipality_code) for row in rows} == {(days[0], code) for code in codes} | {
        (days[2], SALVADOR)
    }
    assert all((row.hours_observed, row.is_complete) == (0, False) for row in rows if not row.weather_source)


def reanalysed(day, hours):
    """Hours of Salvador's point from local midnight on."""
    begin = instant(f"{day}T03")
    return [
        {
            "point_id": SALVADOR,
            "model": "best_match",
            "valid_at": begin + timedelta(hours=n),
            "air_temperature_celsius": 30.0,
            "wind_speed_km_h": 36.0,
        }
        for n in range(hours)
    ]


OBSERVED_AND_REANALYSED = {
    (24, 24): "inmet_hourly",
    (20, 24): "inmet_hourly",
    (19, 24): "openmeteo_archive",
    (12, 19): "openmeteo_archive",
    (12, 12): "inmet_hourly",
    (12, 0): "inmet_hourly",
    (0, 5): "openmeteo_archive",
}
"""Hours of both → which of the two the day is taken from."""


def test_observed_comes_first_and_reanalysis_where_it_is_missing(silver, frame):
    """One case a day, so that one recomputation serves all."""
    days = {DAY + timedelta(days=n): hours for n, hours in enumerate(OBSERVED_AND_REANALYSED)}
    for day, (observed, again) in days.items():
        silver.add("openmeteo_archive", *reanalysed(day, again))
        measured = {"air_temperature_celsius": [20.0] * observed, "wind_speed_m_s": [1.0]}
        silver.add("inmet_hourly", *hours_of("A401", day, **measured))
    found = {
        row.date_on: (row.weather_source, row.hours_observed, row.temperature_mean_celsius, row.wind_speed_mean_m_s)
        for row in rows_of(silver, frame, *days)
    }
    assert found == {
        day: (source, observed, 20.0, 1.0) if source == "inmet_hourly" else (source, again, 30.0, 10.0)
        for day, (observed, again) in days.items()
        for source in [OBSERVED_AND_REANALYSED[observed, again]]
    }


OBSERVED_AND_PAST = {
    (0, 0): ("openmeteo_archive", True, 30.0, 0, False),
    (0, 22): ("openmeteo_archive", True, 30.0, 22, False),
    (1, 22): ("inmet_hourly", False, 20.0, 1, False),
    (24, 0): ("inmet_hourly", False, 20.0, 24, True),
    (12, 24): ("openmeteo_archive", False, 30.0, 24, True),
}
"""Observed hours, and those of the reanalysis that were past when it was fetched → what the day says."""


def test_hours_that_are_forecasts_are_marked_complete_no_day_and_win_over_no_station(silver, frame):
    """Without a flag the clock of the fetch decides: the hours from `past` on end after it. One case a day."""
    days = {DAY + timedelta(days=n): hours for n, hours in enumerate(OBSERVED_AND_PAST)}
    for day, (observed, past) in days.items():
        fetched_at = instant(f"{day}T03") + timedelta(hours=past, minutes=-1)
        silver.add("openmeteo_archive", *({**hour, "retrieved_at": fetched_at} for hour in reanalysed(day, 24)))
        silver.add("inmet_hourly", *hours_of("A401", day, air_temperature_celsius=[20.0] * observed))
    found = {
        days[row.date_on]: (row.weather_source, row.is_forecast, row.temperature_mean_celsius, row.hours_observed,
                            row.is_complete)
        for row in rows_of(silver, frame, *days)
    }  # fmt: skip
    assert found == OBSERVED_AND_PAST


def test_a_later_fetch_makes_a_forecast_past_and_only_later_origins_know_it(silver, frame):
    """The record's own flag goes before its clock. The day begins to count when the second fetch is known."""
    first, second = instant(f"{DAY}T12"), instant(f"{DAY}T12") + timedelta(days=1)
    for at, is_forecast in ((first, True), (second, False)):
        said = {"known_from": at, "is_forecast": is_forecast}
        silver.add("openmeteo_archive", *({**hour, **said} for hour in reanalysed(DAY, 24)))
    for known, expected in ((silver.as_of(first), (True, 0, False)), (silver, (False, 24, True))):
        (row,) = rows_of(known, frame, DAY)
        assert (row.is_forecast, row.hours_observed, row.is_complete) == expected


def test_thirty_days_of_weather_end_on_the_date_and_leave_out_forecasts(silver, frame):
    """Rain of the first day falls out of the window on the thirtieth day after it. Two days are not measured."""
    wet, dry, hot, fcst = (DAY - timedelta(days=n) for n in (29, 10, 3, 1))
    silver.add(
        "inmet_hourly",
        *hours_of("A401", wet, rain_mm=[60.0], air_temperature_celsius=[20.0]),
        *hours_of("A401", dry, rain_mm=[0.0], air_temperature_celsius=[24.0, 26.0]),
        *hours_of("A401", hot, air_temperature_max_celsius=[36.0], air_temperature_celsius=[30.0]),
    )
    silver.add(
        "openmeteo_archive", *({**hour, "is_forecast": True, "precipitation_mm": 9.0} for hour in reanalysed(fcst, 24))
    )
    silver.add(
        "bcb_sgs",
        *({"series_code": 1, "reference_on": on, "value": Decimal("5")} for on in (wet, DAY, DAY + timedelta(1))),
    )
    rows = {row.date_on: row for row in rows_of(silver, frame, wet, fcst, DAY, DAY + timedelta(1), DAY + timedelta(9))}
    found = {
        on: (row.rain_30d_mm, row.temperature_mean_30d_celsius, row.heavy_rain_days_30d, row.extreme_heat_days_30d,
             row.days_observed_30d, row.rain_days_observed_30d)
        for on, row in rows.items()
    }  # fmt: skip
    assert found == {
        wet: (60.0, 20.0, 1, None, 1, 1),
        fcst: (60.0, 25.0, 1, 1, 3, 2),
        DAY: (60.0, 25.0, 1, 1, 3, 2),
        DAY + timedelta(1): (0.0, 27.5, 0, 1, 2, 1),
    }
    assert (rows[fcst].is_forecast, rows[DAY].weather_source) == (True, None)


def test_an_hour_touches_the_thirty_days_whose_windows_hold_it(silver):
    touched = groups_touched(silver, "inmet_hourly", {"station_code": "A401", "observed_at": instant(f"{DAY}T12")})
    assert touched == {(DAY + timedelta(days=n), SALVADOR) for n in range(30)}


def test_a_row_says_whether_any_of_its_clocks_was_assumed(silver, frame):
    measured = salvador(silver, frame, rain_mm=[1.0])
    assert measured.known_from_basis == "measured"
    rate = {"series_code": 1, "reference_on": DAY, "value": Decimal("5"), "published_at_basis": "assumed_lag"}
    silver.add("bcb_sgs", rate)
    (row,) = rows_of(silver, frame, DAY)
    assert row.known_from_basis == "assumed"


def mobile(month, accesses, generation, known):
    return {
        "reference_month_on": month,
        "cnpj": "1" * 14,
        "municipality_code": SALVADOR,
        "generation": generation,
        "accesses": accesses,
        "known_from": instant(known),
    }


def test_telecom_is_carried_from_the_day_it_was_known_and_for_six_months(silver, frame):
    april, may = date(2024, 4, 1), date(2024, 5, 1)
    silver.add(
        "anatel_mobile_accesses",
        mobile(april, 90, "4G", "2024-05-20"),
        mobile(april, 10, "5G", "2024-05-20"),
        mobile(may, 80, "4G", "2024-06-29"),
        mobile(may, 20, "5G", "2024-06-29"),
    )
    days = [date(2024, 5, 19), date(2024, 5, 20), date(2024, 6, 28), date(2024, 6, 29), date(2024, 11, 1),
            date(2024, 11, 2)]  # fmt: skip
    for day in days:
        silver.add("inmet_hourly", *hours_of("A401", day))
    rows = {row.date_on: row for row in rows_of(silver, frame, *days)}
    assert [rows[day].mobile_reference_on for day in days] == [None, april, april, may, may, None]
    known = rows[date(2024, 6, 29)]
    assert (known.mobile_accesses, known.mobile_accesses_5g, known.share_5g_percent) == (100, 20, 20.0)
    assert (known.share_5g_change_points, known.expansion_rate_5g_percent) == (10.0, 100.0)
    assert (known.is_5g_active, known.is_5g_milestone) == (True, True)
    assert rows[april + timedelta(days=49)].share_5g_change_points is None, "March is unknown, not zero"


def test_accesses_per_100_inhabitants_use_the_estimate_that_was_known_on_the_day(silver, frame):
    """The estimate of 2024 comes on 29 August; before it the one of 2021 stands. Where none was known, it is null."""
    cell = {"table_id": 6579, "variable_code": "9324", "territory_level": "6", "territory_code": SALVADOR}
    for year, value, known in (("2021", 200, "2021-08-27"), ("2024", 400, "2024-08-29")):
        estimate = {"period_code": year, "classifications": "", "value": Decimal(value), "known_from": instant(known)}
        silver.add("ibge_sidra", cell | estimate)
    silver.add("anatel_mobile_accesses", mobile(date(2024, 6, 1), 100, "4G", "2024-08-01"))
    broadband = mobile(date(2024, 6, 1), 50, "4G", "2024-08-01")
    silver.add("anatel_broadband_accesses", broadband)
    days = [date(2021, 8, 26), date(2024, 8, 28), date(2024, 8, 29)]
    silver.add("inmet_hourly", *(hour for day in days for hour in hours_of("A401", day)))
    found = {
        row.date_on: (row.population, row.population_reference_on, row.mobile_accesses_per_100,
                      row.broadband_accesses_per_100)
        for row in rows_of(silver, frame, *days)
    }  # fmt: skip
    assert found == {
        days[0]: (None, None, None, None),
        days[1]: (200, date(2021, 7, 1), 50.0, 25.0),
        days[2]: (400, date(2024, 7, 1), 25.0, 12.5),
    }


FLAGS = [
    ({"air_temperature_max_celsius": [35.0]}, "is_extreme_heat", False),
    ({"air_temperature_max_celsius": [35.1]}, "is_extreme_heat", True),
    ({"air_temperature_celsius": [36.0]}, "is_extreme_heat", None),
    ({"air_temperature_min_celsius": [20.0]}, "is_cold", False),
    ({"air_temperature_min_celsius": [19.9]}, "is_cold", True),
    ({}, "is_cold", None),
    ({"rain_mm": [0.0, 0.0]}, "is_no_rain", True),
    ({"rain_mm": [0.0, 0.2]}, "is_no_rain", False),
    ({}, "is_no_rain", None),
    ({"rain_mm": [25.0, 25.0]}, "is_heavy_rain", False),
    ({"rain_mm": [25.0, 25.2]}, "is_heavy_rain", True),
    ({}, "is_heavy_rain", None),
    ({"rain_mm": [50.0, 50.0]}, "is_intense_rain", False),
    ({"rain_mm": [50.0, 50.2]}, "is_intense_rain", True),
    ({}, "is_intense_rain", None),
    ({"relative_humidity_percent": [79.0, 81.0]}, "is_high_humidity", False),
    ({"relative_humidity_percent": [80.0, 81.0]}, "is_high_humidity", True),
    ({}, "is_high_humidity", None),
    ({"relative_humidity_percent": [90.0], "rain_mm": [60.0]}, "corrosion_risk", pytest.approx(0.54)),
    ({"relative_humidity_percent": [90.0]}, "corrosion_risk", None),
    ({"air_temperature_max_celsius": [35.0], "rain_mm": [50.0]}, "field_work_disruption", 0.0),
    ({"air_temperature_max_celsius": [35.1], "rain_mm": [50.0]}, "field_work_disruption", 0.3),
    ({"air_temperature_max_celsius": [35.0], "rain_mm": [50.2]}, "field_work_disruption", 0.5),
    ({"air_temperature_max_celsius": [35.1], "rain_mm": [50.2]}, "field_work_disruption", 0.8),
    ({"air_temperature_max_celsius": [35.1]}, "field_work_disruption", None),
]


def test_flags_are_strict_and_null_without_their_quantity(silver, frame):
    """One case a day, so that one recomputation serves all."""
    days = {DAY + timedelta(days=n): case for n, case in enumerate(FLAGS)}
    for day, (hours, _, _) in days.items():
        silver.add("inmet_hourly", *hours_of("A401", day, **hours))
    rows = {row.date_on: row for row in rows_of(silver, frame, *days)}
    found = [(hours, flag, rows[day][flag]) for day, (hours, flag, _) in days.items()]
    assert found == FLAGS


def test_known_from_is_the_newest_of_weather_and_economy(silver, frame):
    silver.add("inmet_hourly", *hours_of("A401", DAY), *hours_of("A401", DAY + timedelta(days=20)))
    silver.add(
        "bcb_sgs",
        {"series_code": 432, "reference_on": DAY, "value": Decimal("10.5"), "known_from": instant("2025-01-11")},
    )
    known = {row.date_on: utc(row.known_from) for row in rows_of(silver, frame, DAY, DAY + timedelta(days=20))}
    assert known == {DAY: instant("2025-01-11"), DAY + timedelta(days=20): instant("2025-01-10")}


def groups_touched(silver, dataset, *rows):
    return named(affected(TABLE, silver, {dataset: silver.add(dataset, *rows)}))


def test_a_quotation_touches_forty_days_in_every_capital_and_the_selic_target_ten(silver):
    value = {"reference_on": DAY, "value": Decimal("1")}
    codes = {capital.municipality_code for capital in capitals()}
    for series, days in ((1, 40), (432, 10)):
        touched = groups_touched(silver, "bcb_sgs", {"series_code": series, **value})
        assert touched == {(DAY + timedelta(days=n), code) for n in range(days + 1) for code in codes}


def test_a_series_without_a_feature_touches_nothing(silver):
    assert groups_touched(silver, "bcb_sgs", {"series_code": 12, "reference_on": DAY, "value": Decimal("1")}) == set()


def test_a_month_of_ipca_touches_every_day_there_can_be_from_its_first_day_on(silver):
    silver.add("inmet_hourly", *(hour for n in range(-40, 3) for hour in hours_of("A401", DAY + timedelta(days=n))))
    month = {"series_code": 433, "reference_on": date(2024, 6, 1), "value": Decimal("1")}
    touched = groups_touched(silver, "bcb_sgs", month)
    codes = {capital.municipality_code for capital in capitals()}
    expected = {(date(2024, 6, 1) + timedelta(days=n), code) for n in range(30) for code in codes}
    assert expected <= touched
    assert max(day for day, _ in touched) <= date(2024, 7, 3)
    assert min(day for day, _ in touched) == date(2024, 6, 1)


def test_metadata_of_a_capitals_station_touches_its_days_and_no_other_capitals(silver):
    silver.add("inmet_hourly", *hours_of("A401", DAY), *hours_of("A104", DAY, -5))
    station = {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"}
    touched = groups_touched(silver, "inmet_stations", station, station | {"station_code": "A999"})
    assert {code for _, code in touched} == {SALVADOR}
    assert (DAY, SALVADOR) in touched
