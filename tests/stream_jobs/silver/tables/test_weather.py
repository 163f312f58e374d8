"""What hours of weather must satisfy, checked with DuckDB as in `verify`: each rule finds what it is for."""

from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from producers.model import Part
from producers.sources import inmet_hourly as inmet
from replay.content import DATA
from schemas.arrow import arrow_schema
from schemas.contracts import load
from stream_jobs.silver.tables import inmet_hourly, openmeteo_archive, openmeteo_forecast
from tests.golden import kit
from tests.records import RETRIEVED_AT

NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)
SALVADOR = DATA / "inmet" / "INMET_NE_BA_A401_SALVADOR_01-01-2024_A_31-12-2024.CSV"

GOOD = {
    "inmet_hourly": {
        "observed_at": NOON,
        "air_temperature_celsius": 26.1,
        "air_temperature_max_celsius": 26.5,
        "dew_point_celsius": 22.3,
        "wind_gust_m_s": 4.6,
        "wind_speed_m_s": 1.9,
    },
    "openmeteo_archive": {"point_id": "2927408", "valid_at": NOON, "air_temperature_celsius": 26.1},
    "openmeteo_forecast": {"point_id": "2927408", "valid_at": NOON, "issued_at": NOON},
}
TABLES = {each.TABLE.dataset: each.TABLE for each in (inmet_hourly, openmeteo_archive, openmeteo_forecast)}

STATION_CASES = [
    ({}, set()),
    (dict.fromkeys(GOOD["inmet_hourly"]), set()),
    ({"rain_mm": -9999.0}, {"no_missing_value_code", "rain_in_range"}),
    ({"observed_at": HALF_PAST}, {"on_the_hour"}),
    ({"wind_gust_m_s": 1.8}, {"gust_at_least_mean_wind"}),
    ({"air_temperature_max_celsius": 6.7}, {"hourly_maximum_at_least_temperature"}),
    ({"air_temperature_celsius": 51.0, "air_temperature_max_celsius": 52.0}, {"temperature_in_range"}),
    ({"pressure_hpa": 700.0}, {"pressure_in_range"}),
    ({"relative_humidity_percent": 101.0}, {"humidity_in_range"}),
    ({"wind_direction_degrees": 361.0}, {"wind_direction_in_range"}),
    ({"global_radiation_kj_m2": 8208.9}, {"radiation_in_range"}),
    ({"dew_point_celsius": 27.0}, {"dew_point_at_most_temperature"}),
]
POINT_CASES = [
    ({}, set()),
    ({"point_id": "292740"}, {"point_is_a_municipality_code"}),
    ({"point_id": "2927408@-12.9,-38.5"}, set()),
    ({"valid_at": HALF_PAST}, {"on_the_hour"}),
    ({"precipitation_mm": -0.1}, {"precipitation_is_not_negative"}),
    ({"wind_speed_km_h": -0.1}, {"wind_speed_is_not_negative"}),
    ({"air_temperature_celsius": -20.0}, {"temperature_in_range"}),
    ({"relative_humidity_percent": 101.0}, {"humidity_in_range"}),
    ({"precipitation_mm": 201.0}, {"precipitation_in_range"}),
]
CASES = [
    *(("inmet_hourly", *case) for case in STATION_CASES),
    *(("openmeteo_archive", *case) for case in POINT_CASES),
    ("openmeteo_archive", {"air_temperature_celsius": None}, {"value_is_present"}),
    *(("openmeteo_forecast", *case) for case in POINT_CASES),
    ("openmeteo_forecast", {"valid_at": NOON - timedelta(days=1)}, {"begins_on_the_day_of_its_issue"}),
]


def broken(dataset: str, rows: pa.Table) -> dict[str, int]:
    """Rule → rows that break it."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("rows", rows)
    counts = {
        each.name: connection.execute(f"SELECT count(*) FROM rows WHERE NOT ({each.sql})").fetchall()[0][0]
        for each in TABLES[dataset].expectations
    }
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(("dataset", "changes", "rules"), CASES)
def test_a_row_breaks_the_rules_that_it_should(dataset, changes, rules):
    schema = pa.schema([field.with_nullable(True) for field in arrow_schema(load(dataset))])
    assert broken(dataset, pa.Table.from_pylist([GOOD[dataset] | changes], schema)).keys() == rules


@pytest.mark.parametrize("dataset", TABLES)
def test_every_rule_is_broken_by_some_case(dataset):
    """A rule that nothing breaks would protect nothing."""
    found = {rule for name, _, rules in CASES if name == dataset for rule in rules}
    assert found == {each.name for each in TABLES[dataset].expectations}


def hours(body: bytes, name: str) -> pa.Table:
    chunks = inmet.parse([body], Part("2024", name, name, RETRIEVED_AT))
    return pa.Table.from_batches([chunk.records["inmet_hourly"] for chunk in chunks])


def actions(rules: dict[str, int]) -> set[str]:
    return {each.action for each in TABLES["inmet_hourly"].expectations if each.name in rules}


def test_a_maximum_below_the_temperature_is_flagged_and_the_hour_stays():
    """A real hour: where a sensor failed within it, its rain and wind are still what was measured."""
    found = broken("inmet_hourly", hours(*content("built-max-below-")))
    assert found == {"hourly_maximum_at_least_temperature": 1}
    assert actions(found) == {"warn"}


def test_gust_and_mean_wind_exchanged_in_the_header_alone_are_set_aside():
    """Columns are read by their names. Were two names exchanged and not the values, the wind would be plausible."""
    exchanged = SALVADOR.read_bytes().replace(b"VENTO, RAJADA MAXIMA", b"VENTO, X")
    exchanged = exchanged.replace(b"VENTO, VELOCIDADE HORARIA", b"VENTO, RAJADA MAXIMA").replace(
        b"VENTO, X", b"VENTO, VELOCIDADE HORARIA"
    )
    found = broken("inmet_hourly", hours(exchanged, SALVADOR.name))
    assert found["gust_at_least_mean_wind"] > 8_000
    assert "quarantine" in actions(found)
    assert "quarantine" not in actions(broken("inmet_hourly", hours(SALVADOR.read_bytes(), SALVADOR.name)))


def content(beginning: str) -> tuple[bytes, str]:
    (file,) = (kit.FOLDER / "inmet_hourly").glob(f"{beginning}*.CSV")
    return file.read_bytes(), file.name
