"""Places of the settings in `external_factors_daily`: a site's own weather, a station, a zone; as from scratch."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from schemas import choices
from stream_jobs.gold import factor_changes, reanalysis
from stream_jobs.gold.groups import Groups
from stream_jobs.gold.reference import factor_places, own_station_zones, own_zones
from stream_jobs.gold.tables import external_factors_daily
from tests.stream_jobs.gold.batch_oracle import from_scratch, keyed
from tests.stream_jobs.gold.memory_silver import affected, hours_of, instant, named

TABLE = external_factors_daily.TABLE
DAY = date(2024, 6, 28)
SALVADOR, FEIRA, NORONHA = "2927408", "2910800", "2605459"
SITE = f"{FEIRA}@-12.25,-38.95"
PLACES = {FEIRA: {"latitude": -12.25, "longitude": -38.95}, NORONHA: {"station": "A388"}}


def reanalysed(point: str, begin: str, celsius: float) -> list[dict]:
    """24 hours of a point."""
    return [
        {
            "point_id": point,
            "model": "best_match",
            "valid_at": instant(begin) + timedelta(hours=n),
            "air_temperature_celsius": celsius,
            "precipitation_mm": 0.5,
        }
        for n in range(24)
    ]


@pytest.fixture
def known(silver):
    """Weather of a site, of IBGE's point of its municipality, and of a station; a quotation and accesses of the day."""
    silver.add("openmeteo_archive", *reanalysed(SITE, f"{DAY}T03", 31.0), *reanalysed(FEIRA, f"{DAY}T03", 11.0))
    # Fernando de Noronha is two hours behind UTC.
    silver.add("inmet_hourly", *hours_of("A388", DAY, air_temperature_celsius=[27.0] * 24))
    silver.add("inmet_stations", {"station_code": "A388", "valid_from_on": date(2024, 1, 1), "uf": "PE"})
    silver.add("bcb_sgs", {"series_code": 1, "reference_on": DAY, "value": Decimal("5.5")})
    return silver


def rows_of(silver, frame) -> list:
    codes = [place.municipality_code for place in factor_places()]
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    groups = frame("date_on DATE, municipality_code STRING", *((day, code) for day in days for code in codes))
    return TABLE.recompute(silver, Groups(silver.spark, groups.toArrow())).collect()


def absent(rows: list, code: str) -> list[str]:
    """The oracle."""
    return [] if any(row.municipality_code == code for row in rows) else [f"no row of {code}"]


def test_a_place_has_the_weather_of_its_own_point_or_station_and_the_other_factors(choose, known, frame, control):
    choose(places=PLACES)
    rows = rows_of(known, frame)
    control.holds(absent, rows, FEIRA)
    (site,) = (row for row in rows if (row.municipality_code, row.date_on) == (FEIRA, DAY))
    assert (site.uf, site.station_code, site.weather_source) == ("BA", "", "openmeteo_archive")
    assert (site.temperature_mean_celsius, site.rain_mm, site.usd_brl) == (31.0, 12.0, Decimal("5.5"))
    (island,) = (row for row in rows if (row.municipality_code, row.date_on) == (NORONHA, DAY))
    assert (island.uf, island.station_code, island.weather_source) == ("PE", "A388", "inmet_hourly")
    assert len({row.municipality_code for row in rows if row.date_on == DAY}) == 29
    held = keyed(TABLE.keys, [row.asDict() for row in rows])
    assert held == from_scratch(TABLE.name, known), "as another engine computes it"

    choices.use({}, ())
    control.objects(absent, rows_of(known, frame), FEIRA, damage=f"no row of {FEIRA}")


def test_what_a_change_touches_is_of_places_too(choose, silver):
    hours = silver.add("openmeteo_archive", *reanalysed(SITE, f"{DAY}T03", 31.0)[:1])
    other = silver.add("openmeteo_archive", *reanalysed(FEIRA, f"{DAY}T03", 11.0)[:1])
    quotation = silver.add("bcb_sgs", {"series_code": 432, "reference_on": DAY, "value": Decimal("10")})
    assert named(affected(TABLE, silver, {"openmeteo_archive": hours})) == set()
    choose(places=PLACES)
    month = {(DAY + timedelta(days=n), FEIRA) for n in range(30)}
    assert named(affected(TABLE, silver, {"openmeteo_archive": hours})) == month
    assert named(affected(TABLE, silver, {"openmeteo_archive": other})) == set(), "a point that no place has"
    touched = named(affected(TABLE, silver, {"bcb_sgs": quotation}))
    assert {code for _, code in touched} == set(factor_changes.station_of())
    assert len(factor_changes.station_of()) == 29


def test_a_zone_of_the_settings_is_that_of_the_point_and_of_the_station(choose, silver):
    code = "1506807"  # Santarém
    choose(places={code: {"latitude": -2.44, "longitude": -54.7, "station": "A299", "time_zone": "America/Noronha"}})
    assert own_zones()[code] == own_station_zones()["A299"] == "America/Noronha"
    point = choices.places()[0].point_id
    rows = silver.add("openmeteo_archive", *reanalysed(point, f"{DAY}T02", 31.0)[:1])
    (row,) = rows.select(reanalysis.point_day(rows.valid_at, rows.point_id).alias("day")).collect()
    assert row.day == DAY, "two hours behind UTC, and not three"
