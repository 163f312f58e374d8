import csv
from datetime import date, timedelta
from zoneinfo import available_timezones

import pytest
from pyspark.sql import functions as F  # noqa: N812

from sinks.snapshot import predicate
from stream_jobs.gold import reanalysis, weather
from stream_jobs.gold.reference import FOLDER, capitals, municipalities, time_zones
from tests.stream_jobs.gold.memory_silver import hours_of, instant, utc

CURITIBA = "America/Sao_Paulo"
RIO_BRANCO = "America/Rio_Branco"


def civil_days(frame, *cases):
    rows = frame("observed_at TIMESTAMP, zone STRING", *((instant(text), zone) for text, zone in cases))
    found = rows.select(weather.civil_day(F.col("observed_at"), F.col("zone"))).collect()
    return [row[0] for row in found]


def test_a_civil_day_begins_at_the_wall_clocks_midnight(frame):
    days = civil_days(
        frame,
        ("2024-01-01T02:59:59", "America/Sao_Paulo"),
        ("2024-01-01T03:00", "America/Sao_Paulo"),
        ("2024-01-01T04:59:59", RIO_BRANCO),
        ("2024-01-01T05:00", RIO_BRANCO),
    )
    assert days == [date(2023, 12, 31), date(2024, 1, 1), date(2023, 12, 31), date(2024, 1, 1)]


def test_summer_time_moves_the_civil_day_of_2018_by_an_hour(frame):
    days = civil_days(
        frame,
        ("2018-07-01T02:00", CURITIBA),
        ("2018-12-01T02:00", CURITIBA),
        ("2018-12-01T01:59:59", CURITIBA),
        ("2019-12-01T02:00", CURITIBA),  # abolished
    )
    assert days == [date(2018, 6, 30), date(2018, 12, 1), date(2018, 11, 30), date(2019, 11, 30)]


def test_the_possible_days_and_the_literal_bounds_hold_the_civil_day_in_every_zone(spark):
    """Over every hour of four years, two of them with summer time."""
    hours = spark.sql(
        "SELECT explode(sequence(TIMESTAMP'2017-01-01', TIMESTAMP'2020-12-31 23:00', INTERVAL 1 HOUR)) AS at"
    )
    at = F.col("at")
    first, last = date(2018, 2, 17), date(2018, 11, 4)  # the days when summer time ends and begins
    for zone in time_zones():
        day = weather.civil_day(at, zone)
        assert hours.where(~F.array_contains(weather.possible_days(at), day)).isEmpty()
        in_range = day.between(F.lit(first), F.lit(last))
        assert hours.where(in_range & ~predicate(weather.in_days("at", first, last))).isEmpty()


def test_the_27_capitals_have_a_station_a_zone_and_a_state_each():
    assert len(capitals()) == 27
    assert len({capital.station_code for capital in capitals()}) == 27
    assert {capital.uf: capital.time_zone for capital in capitals()}["AC"] == RIO_BRANCO


def test_zones_are_the_tz_databases_own_and_a_municipalitys_own_where_its_state_is_parted():
    zones = {place.municipality_code: place.time_zone for place in municipalities()}
    manaus, tabatinga, recife, noronha, salvador = "1302603", "1304062", "2611606", "2605459", "2927408"
    assert [zones[code] for code in (manaus, tabatinga, recife, noronha, salvador)] == [
        "America/Manaus", "America/Eirunepe", "America/Recife", "America/Noronha", "America/Bahia"]  # fmt: skip
    assert {zones[place.municipality_code] for place in municipalities() if place.uf == "AC"} == {RIO_BRANCO}
    assert sum(place.time_zone == "America/Eirunepe" for place in municipalities()) == 13
    assert set(zones.values()) == set(time_zones())
    assert set(time_zones()) <= available_timezones()
    places = {place.municipality_code: place for place in municipalities()}
    with (FOLDER / "municipality_time_zones.csv").open(encoding="utf-8", newline="") as file:
        assert all(places[row["municipality_code"]].name == row["name"] for row in csv.DictReader(file))


def test_a_station_in_the_far_west_of_amazonas_has_the_day_of_acre_and_not_of_manaus(silver):
    """04:30 UTC is the new day in Manaus and still the old one in Eirunepé (A109)."""
    hour = {"observed_at": instant("2024-01-02T04:30")}
    silver.add("inmet_hourly", {**hour, "station_code": "A109"}, {**hour, "station_code": "A101"})
    amazonas = {"valid_from_on": date(2024, 1, 1), "uf": "AM"}
    silver.add("inmet_stations", *({**amazonas, "station_code": code} for code in ("A109", "A101")))
    zones = weather.station_zones(silver.newest("inmet_stations"))
    days = weather.with_civil_day(silver.newest("inmet_hourly"), zones).collect()
    assert {row.station_code: row.date_on for row in days} == {"A109": date(2024, 1, 1), "A101": date(2024, 1, 2)}


def test_a_point_has_the_day_of_its_own_municipality(frame):
    at = instant("2024-01-02T02:30")
    points = frame("valid_at TIMESTAMP, point_id STRING", *((at, code) for code in ("2611606", "2605459", "0000000")))
    days = points.select("point_id", reanalysis.point_day(F.col("valid_at"), F.col("point_id"))).collect()
    assert [tuple(row) for row in days] == [
        ("2611606", date(2024, 1, 1)), ("2605459", date(2024, 1, 2)), ("0000000", None)]  # fmt: skip


def day_of(silver, rows):
    """The one station-day of some hours of Salvador."""
    silver.add("inmet_hourly", *rows)
    hours = weather.with_civil_day(
        silver.newest("inmet_hourly"), weather.station_zones(silver.newest("inmet_stations"))
    )
    (day,) = weather.daily(hours).collect()
    return day.asDict() | {"known_from": utc(day.known_from)}


def test_a_day_is_computed_over_the_hours_that_have_a_value(silver):
    day = day_of(
        silver,
        hours_of(
            "A401",
            date(2024, 1, 1),
            air_temperature_celsius=[20.0, None, 25.0, 24.0],
            air_temperature_max_celsius=[20.5, 35.1, 26.0],
            air_temperature_min_celsius=[19.8, None, 24.5],
            relative_humidity_percent=[80.0, 81.0],
            rain_mm=[0.2, 0.0, None, 0.4],
            wind_speed_m_s=[1.0, 2.0],
            wind_gust_m_s=[3.0, 9.5, 4.0],
            pressure_hpa=[1000.0, 1001.0],
            global_radiation_kj_m2=[None, 10.5, 20.25],
        ),
    )
    assert day == {
        "station_code": "A401",
        "date_on": date(2024, 1, 1),
        "hours_observed": 3,
        "rain_hours_observed": 3,
        "temperature_mean_celsius": 23.0,
        "temperature_max_celsius": 35.1,
        "temperature_min_celsius": 19.8,
        "relative_humidity_mean_percent": 80.5,
        "rain_mm": 0.6,
        "wind_speed_mean_m_s": 1.5,
        "wind_gust_max_m_s": 9.5,
        "pressure_mean_hpa": 1000.5,
        "global_radiation_kj_m2": 30.75,
        "is_complete": False,
        "known_from": instant("2025-01-10"),
        "is_assumed": False,
    }


def test_a_day_without_any_value_is_a_row_of_nulls(silver):
    day = day_of(silver, hours_of("A401", date(2024, 1, 1)))
    present = {name: value for name, value in day.items() if value is not None}
    assert present.keys() == {
        "station_code", "date_on", "hours_observed", "rain_hours_observed", "is_complete", "known_from",
        "is_assumed",
    }  # fmt: skip
    assert (day["hours_observed"], day["rain_hours_observed"], day["is_complete"]) == (0, 0, False)


@pytest.mark.parametrize(("rain", "expected"), [([], None), ([0.0], 0.0), ([None, 0.0], 0.0)])
def test_no_rain_is_zero_and_no_gauge_is_null(silver, rain, expected):
    assert expected == day_of(silver, hours_of("A401", date(2024, 1, 1), rain_mm=rain))["rain_mm"]


@pytest.mark.parametrize(("hours", "expected"), [(19, False), (20, True), (24, True)])
def test_a_day_is_complete_from_twenty_hours_on(silver, hours, expected):
    day = day_of(silver, hours_of("A401", date(2024, 1, 1), air_temperature_celsius=[20.0] * hours))
    assert (day["hours_observed"], day["is_complete"]) == (hours, expected)


def test_half_hours_are_rows_and_not_hours(silver):
    """Of 48 of them a day has 24 hours and all of its rain."""
    whole = hours_of("A401", date(2024, 1, 1), air_temperature_celsius=[20.0] * 24, rain_mm=[1.0] * 24)
    halves = [row | {"observed_at": row["observed_at"] + timedelta(minutes=30)} for row in whole]
    found = day_of(silver, [*whole, *halves])
    assert (found["hours_observed"], found["rain_hours_observed"], found["rain_mm"]) == (24, 24, 48.0)


def test_known_from_is_the_newest_of_the_hours(silver):
    rows = hours_of("A401", date(2024, 1, 1))
    rows[7]["known_from"] = instant("2025-03-01")
    assert day_of(silver, rows)["known_from"] == instant("2025-03-01")


def test_a_value_that_is_no_measurement_is_left_out_and_stops_nothing(silver):
    day = day_of(silver, hours_of("A401", date(2024, 1, 1), rain_mm=[1.5, 1e300, float("nan")]))
    assert day["rain_mm"] == 1.5


def test_sums_do_not_depend_on_the_order_of_the_hours(frame):
    values = [0.1, 0.2, 0.3, 1e5, 0.7, 0.1, 1e-3]
    ascending = frame("value DOUBLE", *((value,) for value in sorted(values))).coalesce(1)
    descending = frame("value DOUBLE", *((value,) for value in sorted(values, reverse=True))).coalesce(1)
    sums = [rows.agg(weather.exact_sum("value")).first()[0] for rows in (ascending, descending)]
    floating = [rows.agg(F.sum("value")).first()[0] for rows in (ascending, descending)]
    assert sums[0] == sums[1]
    assert floating[0] != floating[1], "the control: floating-point sums of these do"


def test_a_station_stands_in_the_newest_state_that_its_metadata_names(silver):
    silver.add(
        "inmet_stations",
        {"station_code": "A900", "valid_from_on": date(2023, 1, 1), "uf": "BA"},
        {"station_code": "A900", "valid_from_on": date(2024, 1, 1), "uf": "AC"},
        {"station_code": "A900", "valid_from_on": date(2025, 1, 1), "uf": None},
        {"station_code": "A901", "valid_from_on": date(2024, 1, 1), "uf": "??"},
    )
    zones = weather.station_zones(silver.newest("inmet_stations")).collect()
    assert [tuple(row) for row in zones] == [("A900", RIO_BRANCO)]


def test_a_station_that_is_no_capitals_has_no_day_before_its_metadata(silver):
    silver.add("inmet_hourly", *hours_of("A901", date(2024, 1, 1)), *hours_of("A900", date(2024, 1, 1)))
    hours = weather.with_civil_day(
        silver.newest("inmet_hourly"), weather.station_zones(silver.newest("inmet_stations"))
    )
    assert {row.station_code for row in hours.collect()} == {"A901"}  # Cuiabá's, from the reference list
