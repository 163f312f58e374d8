from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql.types import StructType

from stream_jobs.gold import external_factors_daily
from stream_jobs.gold.reference import capitals
from tests.stream_jobs.gold.memory_silver import affected, hours_of, instant, utc

TABLE = external_factors_daily.TABLE
DAY = date(2024, 6, 28)
SALVADOR = "2927408"


def rows_of(silver, frame, *days, municipalities=(SALVADOR,)):
    groups = frame("date_on DATE, municipality_code STRING", *((day, code) for day in days for code in municipalities))
    return TABLE.recompute(silver, groups).collect()


def salvador(silver, frame, **hours):
    silver.add("inmet_hourly", *hours_of("A401", DAY, **hours))
    (row,) = rows_of(silver, frame, DAY)
    return row


def test_the_columns_are_the_schemas_in_order(silver, frame):
    row = salvador(silver, frame)
    assert list(row.asDict()) == StructType.fromDDL(TABLE.schema).names
    assert (row.date_on, row.municipality_code, row.uf, row.station_code) == (DAY, SALVADOR, "BA", "A401")


def test_only_capital_days_with_a_station_day_have_a_row(silver, frame):
    silver.add("inmet_hourly", *hours_of("A401", DAY), *hours_of("A999", DAY), *hours_of("A401", DAY + timedelta(2)))
    silver.add("inmet_stations", {"station_code": "A999", "valid_from_on": date(2024, 1, 1), "uf": "BA"})
    silver.add("bcb_sgs", {"series_code": 1, "reference_on": DAY, "value": Decimal("5.5")})
    days = [DAY + timedelta(days=n) for n in range(4)]
    rows = rows_of(silver, frame, *days, municipalities=[capital.municipality_code for capital in capitals()])
    assert {(row.date_on, row.station_code) for row in rows} == {(days[0], "A401"), (days[2], "A401")}


FLAGS = [
    ({"air_temperature_max_celsius": [35.0]}, "is_extreme_heat", False),
    ({"air_temperature_max_celsius": [35.1]}, "is_extreme_heat", True),
    ({"air_temperature_celsius": [36.0]}, "is_extreme_heat", None),
    ({"air_temperature_min_celsius": [20.0]}, "is_cold", False),
    ({"air_temperature_min_celsius": [19.9]}, "is_cold", True),
    ({}, "is_cold", None),
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
    groups = affected(TABLE, silver, {dataset: silver.add(dataset, *rows)}).collect()
    return {(row.date_on, row.municipality_code) for row in groups}


def test_a_quotation_touches_forty_days_in_every_capital_and_the_selic_target_ten(silver):
    value = {"reference_on": DAY, "value": Decimal("1")}
    codes = {capital.municipality_code for capital in capitals()}
    for series, days in ((1, 40), (432, 10)):
        touched = groups_touched(silver, "bcb_sgs", {"series_code": series, **value})
        assert touched == {(DAY + timedelta(days=n), code) for n in range(days + 1) for code in codes}


def test_a_series_without_a_feature_touches_nothing(silver):
    assert groups_touched(silver, "bcb_sgs", {"series_code": 12, "reference_on": DAY, "value": Decimal("1")}) == set()


def test_a_month_of_ipca_touches_the_days_there_are_from_its_first_day_on(silver):
    silver.add("inmet_hourly", *(hour for n in range(-40, 3) for hour in hours_of("A401", DAY + timedelta(days=n))))
    month = {"series_code": 433, "reference_on": date(2024, 6, 1), "value": Decimal("1")}
    touched = groups_touched(silver, "bcb_sgs", month)
    expected = {(date(2024, 6, 1) + timedelta(days=n), SALVADOR) for n in range(30)}
    assert expected <= touched
    # One more day is possible at either end: in another zone the first or last hours would belong to it.
    assert touched - expected <= {(date(2024, 7, 1), SALVADOR)}


def test_metadata_of_a_capitals_station_touches_its_days_and_no_other_capitals(silver):
    silver.add("inmet_hourly", *hours_of("A401", DAY), *hours_of("A104", DAY, -5))
    station = {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA"}
    touched = groups_touched(silver, "inmet_stations", station, station | {"station_code": "A999"})
    assert {code for _, code in touched} == {SALVADOR}
    assert (DAY, SALVADOR) in touched
